"""The pointing game of an experiment with masks beside its labelled images, e.g. wbc.

Run: python -m benchmarks.pointing_game results/wbc (after the workflow). The table of images has a column mask.
"""

import argparse
from pathlib import Path

import numpy as np

from biocnn.data.dataset import Dataset
from biocnn.explain import grad_cam, pointing_game
from biocnn.io.image_files import decode
from biocnn.prediction.model import Model
from biocnn.training import batches


def main() -> None:
    """Print the shares of the test images of each run, for the maps of the predicted class."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    folder = parser.parse_args().results
    dataset = Dataset(folder / "dataset")
    rows = dataset.rows("test")
    (table,) = [Path(source.path) for source in dataset.facts.sources if source.key == "data.table"]
    for run in sorted(folder.glob("runs/*")):
        model = Model(run / "model.safetensors")
        assert model.frame
        paths = [table.parent / path for path in dataset.examples["mask"].iloc[rows]]
        masks = np.stack(
            [model.frame.apply((decode(path, indices=True).pixels > 0).astype(np.float32))[0] for path in paths]
        )
        maps = []
        for x, _ in batches.make(dataset, rows, model.device, frame=model.frame).plain(1):
            maps.append(grad_cam(model.network, x, int(model.network(x)[0].argmax()))[0].detach().cpu().numpy())
        found = pointing_game(np.stack(maps), masks >= 0.5)
        print(
            f"{run.name}: {found.hits:.3f} of {found.n} images; by chance {found.chance:.3f}, centre {found.centre:.3f}"
        )


if __name__ == "__main__":
    main()
