"""The pipeline from Python: train your own network on a stored data set, save it, load it and predict.

snakemake --cores all results/small_net/dataset --config experiments=[examples/small_net.yaml]
python -m examples.python_api results/small_net/dataset examples/small_net.yaml mine.safetensors
"""

import sys

import biocnn
from biocnn.config.experiment import load
from biocnn.config.search_space import with_values
from biocnn.training.checkpoint import save_model
from examples.small_net import SmallNet


def main(data: str, config: str, out: str) -> None:
    """Train for one epoch and predict two sequences."""
    settings = with_values(load(config).settings, {"train.epochs": 1, "model.channels": 8})
    network = SmallNet(1, 4, 1, channels=8)
    network, history, meta = biocnn.train_run(settings, biocnn.Dataset(data), seed=1, network=network, log=print)
    save_model(out, network, meta)
    print(history[["epoch", "train_loss", "val_loss", "val_auprc"]])
    print(biocnn.load(out, trust=["examples.small_net"]).predict(["ACGT" * 25 + "A", "TTTT" * 25 + "T"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
