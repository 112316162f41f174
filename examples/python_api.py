"""The pipeline from Python: train your own network on a stored data set, save it, load it and predict.

snakemake --cores all results/small_net/dataset --config experiments=[examples/small_net.yaml]
python -m examples.python_api results/small_net/dataset mine.safetensors
"""

import sys

import biocnn


def main(data: str, out: str) -> None:
    """Train for one epoch and predict two sequences."""
    network = {"name": "examples.small_net:SmallNet", "channels": 8}
    model = biocnn.train(biocnn.Dataset(data), network, epochs=1)
    print(model.history[["epoch", "train_loss", "val_loss", "val_auprc"]])
    model.save(out)
    print(biocnn.load(out, trust=["examples.small_net"]).predict(["ACGT" * 25 + "A", "TTTT" * 25 + "T"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
