"""Accuracy on public image sets, compared with published results.

``python -m benchmarks.images --data DIR [EXPERIMENT ...]`` runs experiments of config/experiments with the workflow,
then writes benchmarks/results/images.json and the tables of docs/results_images.md.
"""

import math
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open

from benchmarks.accuracy import ask, renew, run_workflow, write_between
from benchmarks.data import ROOT

WORK, PAGE = ROOT / "benchmarks" / "data" / "images", ROOT / "docs" / "results_images.md"
RESULTS = ROOT / "benchmarks" / "results" / "images.json"
BEGIN, END = "<!-- made by python -m benchmarks.images -->", "<!-- end -->"
# Per experiment: name of the set, and title and published results of each metric (see the page for the sources), or of
# one of an output, as output/metric.
SETS: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "dsb2018": (
        "DSB2018, nuclei",
        {
            "average_precision_iou_0.5": ("AP at IoU 0.5", "Mask R-CNN 0.832, StarDist 0.864, PatchPerPix 0.868"),
            "average_precision_iou_0.6": ("AP at IoU 0.6", "0.773, 0.804, 0.827"),
            "average_precision_iou_0.7": ("AP at IoU 0.7", "0.684, 0.685, 0.755"),
            "average_precision_iou_0.8": ("AP at IoU 0.8", "0.489, 0.450, 0.635"),
            "average_precision_iou_0.9": ("AP at IoU 0.9", "0.189, 0.119, 0.379"),
            "average_precision_iou": ("mean AP, 0.5 to 0.9", "0.594, 0.584, 0.693"),
        },
    ),
    "isbi2012": (
        "ISBI-2012, membranes, 5 folds",
        {
            "v_rand": ("V-Rand", ""),
            "pixel_error": ("pixel error", "U-Net 0.061 (hidden test)"),
            "dice": ("Dice", ""),
        },
    ),
    "drive": (
        "DRIVE, vessels, official split",
        {
            "dice": ("Dice", "U-Net 0.816, second observer 0.789"),
            "auroc": ("AUROC", ""),
            "cldice": ("clDice", ""),
        },
    ),
    "hippocampus": (
        "Hippocampus, MRI, 3D",
        {"dice": ("Dice", "nnU-Net 0.90 anterior, 0.89 posterior (5 folds, all volumes)")},
    ),
    "bccd": (
        "BCCD, boxes around blood cells, official split",
        {
            "ap50": ("AP50", "Faster R-CNN 0.903, YOLOv8n 0.924 (other splits)"),
            "ap50_95": ("AP50:95", ""),
            "f1": ("F1", ""),
            "count_mae": ("error of the count per image", ""),
        },
    ),
    "bccd_faster_rcnn": (
        "BCCD with Faster R-CNN, 600 steps",
        {"ap50": ("AP50", "0.903 (other split)"), "ap50_95": ("AP50:95", ""), "f1": ("F1", "")},
    ),
    "vgg_cells": (
        "VGG cells, counts by density, 64 training images",
        {
            "count_mae": ("MAE", "N = 64: U-Net 3.2; N = 32: density learning 3.5, FCRN-A 2.9, Count-ception 2.3"),
        },
    ),
    "vgg_cells_number": (
        "VGG cells, the count as one number",
        {"mae": ("MAE", "N = 32: ridge 5.9"), "pearson": ("Pearson r", "")},
    ),
    "blood_cells": (
        "blood cells, 8 classes, 28 px",
        {"accuracy": ("accuracy", "0.958 (ResNet-18, five times the images)"), "auroc": ("AUROC", "")},
    ),
    "pneumoniamnist": (
        "PneumoniaMNIST, 28 px",
        {"auroc": ("AUROC", "0.944 (ResNet-18)"), "accuracy": ("accuracy", "0.854")},
    ),
    "adrenal": ("AdrenalMNIST3D, 28³ voxels, its val split", {"auroc": ("AUROC", ""), "accuracy": ("accuracy", "")}),
    "wbc": ("white blood cells, 4 classes, 120 px", {"accuracy": ("accuracy", ""), "auroc": ("AUROC", "")}),
    "blood_cells_native": (
        "blood cells, 8 classes, 480 photographs",
        {"accuracy": ("accuracy", ""), "auroc": ("AUROC", "")},
    ),
    "wbc_nucleus": (
        "white blood cells, share of the nucleus",
        {"mae": ("MAE", ""), "pearson": ("Pearson r", ""), "coverage90": ("coverage of 90% intervals", "")},
    ),
    "wbc_shape": (
        "white blood cells, shape of the nucleus in four grades",
        {"quadratic_kappa": ("quadratic kappa", ""), "grade_mae": ("error in grades", "")},
    ),
    "wbc_several": (
        "white blood cells, three outputs of one network",
        {
            "accuracy": ("accuracy of the kind", ""),
            "nucleus_share/r2": ("R² of the share of the nucleus", ""),
            "cell_area/r2": ("R² of the area of the cell", ""),
        },
    ),
    "wbc_cut": (
        "white blood cells cut out, with their diameter: area of the nucleus",
        {"mae": ("MAE, pixels", ""), "pearson": ("Pearson r", "")},
    ),
    "blood_bags": (
        "bags of blood cells: is there a basophil?",
        {"auroc": ("AUROC", ""), "accuracy": ("accuracy", "")},
    ),
    "denoising_w2s": (
        "W2S, one exposure of a microscope against the mean of 400",
        {
            "psnr_fitted": ("PSNR after affine fit, dB", ""),
            "psnr": ("PSNR, dB", "BM3D 22.6, Noise2Noise trained on other microscopes 25.4"),
            "ssim": ("SSIM", "0.735, 0.780"),
        },
    ),
    "noise2noise_w2s": (
        "W2S, learned from second noisy exposures (simulated)",
        {"psnr_fitted": ("PSNR after affine fit, dB", ""), "psnr": ("PSNR, dB", ""), "ssim": ("SSIM", "")},
    ),
    "noise2void_w2s": (
        "W2S, learned from the noisy images alone",
        {"psnr_fitted": ("PSNR after affine fit, dB", ""), "psnr": ("PSNR, dB", ""), "ssim": ("SSIM", "")},
    ),
    "super_resolution_w2s": (
        "W2S, clean images reduced 4 times",
        {"psnr_fitted": ("PSNR after affine fit, dB", ""), "psnr": ("PSNR, dB", ""), "ssim": ("SSIM", "")},
    ),
}
FILTERS = ("input", "best filter")
OF_BAGS = ("intensities", "extreme intensities")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "Lanczos")
FINER = ("set", "metric", *INTERPOLATIONS, "biocnn, one network", "all networks (95%)")
BAGS = ("set", "metric", *OF_BAGS, "biocnn, one network", "all networks (95%)")
RESTORED = ("set", "metric", "published", *FILTERS, "biocnn, one network", "all networks (95%)")
HEAD = ("set", "output", "metric", "published", "biocnn, one network", "all networks (95%)")
BASELINES = ("intensities", "thumbnail")
FLOORS = ("constant", "brightness", "intensities", "thumbnail")
COUNTS = ("set", "metric", "published", *FLOORS, "biocnn, one network", "all networks (95%)")
CLASSES = ("set", "metric", "published", *BASELINES, "biocnn, one network", "all networks (95%)")
COVARIED = ("constant", "covariates", "intensities + covariates", "thumbnail + covariates")
JOINED = ("set", "metric", *COVARIED, "biocnn, one network", "all networks (95%)")
COST = (
    "set",
    "networks",
    "weights",
    "training of one network (CPU time)",
    "peak memory",
    "prediction of the test split",
)

HEADS: tuple[tuple[str, ...], ...] = (HEAD, COUNTS, JOINED, CLASSES, BAGS, RESTORED, FINER, COST)


def main() -> None:
    """Run the requested experiments, and update the tables."""
    arguments = ask(__doc__, SETS)
    run_workflow(WORK, arguments.experiments, arguments.data, arguments.cores)
    write_page(renew(RESULTS, SETS, partial(read, WORK / "results"), arguments.experiments))


def read(results: Path, name: str) -> dict[str, Any]:
    """Read the metrics and costs of a set."""
    folder = results / name
    metrics = pd.read_csv(folder / "metrics.tsv", sep="\t")
    test = metrics[(metrics["split"] == "test") & metrics["over"].isin(["per_image", "all"])]
    together = test[test["output"] == "all"] if "all" in set(test["output"]) else test  # of classes: all together
    audit = pd.read_csv(folder / "audit.tsv", sep="\t")
    audit = audit[audit["split"] == "test"]
    rows = []
    for key in SETS[name][1]:
        wanted, _, metric = key.rpartition("/")
        rival = audit[audit["output"] == wanted] if wanted else audit
        simple = rival[rival["metric"] == metric].set_index("baseline")["value"].to_dict()
        of_outputs = test[test["output"] == wanted] if wanted else together
        for output, found in of_outputs[of_outputs["metric"] == metric].groupby("output", sort=False):
            single = found.loc[found["run"] != "ensemble", "value"]
            ensemble = found[found["run"] == "ensemble"] if found["run"].nunique() > 1 else found
            rows.append(
                {
                    "metric": key,
                    "output": output,
                    "one": [float(single.mean()), float(single.std() if len(single) > 1 else 0.0)],
                    "together": ensemble[["value", "low", "high"]].iloc[0].tolist(),
                    "simple": simple,
                }
            )
    return {"rows": rows, "runs": sorted(set(metrics["run"]) - {"ensemble"}), **_cost(folder)}


def _cost(folder: Path) -> dict[str, Any]:
    """Return number of weights, mean CPU minutes of training, mean seconds of prediction, and peak memory in MB."""
    with safe_open(next(folder.glob("runs/*/model.safetensors")), "np") as file:
        weights = sum(file.get_tensor(key).size for key in file.keys())  # noqa: SIM118 (not a dictionary)
    train, predict = (
        pd.concat(pd.read_csv(path, sep="\t") for path in sorted(folder.glob(f"benchmarks/{step}-*.tsv")))
        for step in ("train", "predict")
    )
    return {
        "weights": weights,
        "minutes": float(train["cpu_time"].mean() / 60),
        "memory_mb": float(train["max_rss"].max()),
        "predict_seconds": float(predict["s"].mean()),
    }


def write_page(result: dict[str, Any]) -> None:
    """Replace the text between the markers of the page."""
    lines, *others, costs = empty = [[head] for head in HEADS]
    tables = dict(zip((FLOORS, COVARIED, BASELINES, OF_BAGS, FILTERS, INTERPOLATIONS), others, strict=True))
    for name, found in result.items():
        title, metrics = SETS[name]
        for row in found["rows"]:
            shown, published = metrics[row["metric"]]
            mean, spread = row["one"]
            single = f"{mean:.3f} ± {spread:.3f}" if len(found["runs"]) > 1 else f"{mean:.3f}"
            interval = "{:.3f} ({:.3f}-{:.3f})".format(*row["together"])
            simple = row.get("simple", {})
            columns = _columns(simple or found["rows"][0].get("simple", {}), list(tables))
            table = tables[columns] if columns else lines
            first = "" if title in {line[0] for line in table} else title
            if columns:
                source = [] if columns in (INTERPOLATIONS, OF_BAGS, COVARIED) else [published]
                floors = [_known(simple.get(floor)) for floor in columns]
                table.append((first, shown, *source, *floors, single, interval))
            else:
                table.append((first, row["output"], shown, published, single, interval))
        costs.append(
            (
                title,
                _networks(found["runs"]),
                f"{found['weights']:,}",
                f"{found['minutes']:.0f} min" if found["minutes"] >= 1 else f"{60 * found['minutes']:.0f} s",
                f"{found['memory_mb'] / 1000:.1f} GB",
                f"{found['predict_seconds']:.0f} s",
            )
        )
    filled = [each for each in empty if each[1:]]
    write_between(PAGE, BEGIN, END, filled, {SETS[name][0]: found["machine"] for name, found in result.items()})


def _columns(simple: dict[str, float], tables: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the columns that hold most of the simple models, the fewest of these; none without simple models."""
    return max(tables, key=lambda names: (len(simple.keys() & set(names)), -len(names))) if simple else ()


def _known(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.3f}"


def _networks(runs: list[str]) -> str:
    """Summarise fold0-seed1, fold0-seed2, ...: the number of folds, if several, and the seeds."""
    folds, seeds = (sorted(set(part)) for part in zip(*(run.split("-seed") for run in runs), strict=True))
    return (f"{len(folds)} folds, " if len(folds) > 1 else "") + f"seed {', '.join(seeds)}"


if __name__ == "__main__":
    main()
