"""The rows of the table: what is run and reported.

A row returns its lines (workload, against, ratio, goal, ours, theirs, remark) and everything its sides reported.
"""

import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import BIOCNN, DATA, EXPERIMENTS, ROOT, VARIANTS, prepare
from benchmarks.image_rows import augmentation, segmentation
from benchmarks.rounds import US, Side, in_turn, ratios, run, spread
from biocnn.config.experiment import load
from biocnn.io.genome import open_genome

Row = dict[str, Any]
THREADS = 2
# Networks for saturation mutagenesis: settings, number of 1 kb sequences, goal.
MUTATED = {
    "DeepBind": ({"strands": "both"}, 40, 10),
    "Basset": ({"channels": [64, 64, 64], "over": "max"}, 20, 4),
}
SNAKEMAKE = BIOCNN.with_name("snakemake")
# Module of benchmarks/sides, and its environment.
SEQUENCE_PEERS = {"plain torch": ("torch_training", "biocnn"), "gReLU": ("grelu_training", "grelu")}
IMAGE_PEERS = {
    "MONAI": ("monai_training", "biocnn"),
    "batchgeneratorsv2 (nnU-Net)": ("nnunet_training", "nnunet"),
}


def deepbind_training(rounds: int) -> Row:
    """DeepBind, 100 k windows of 101 bp, batch 128."""
    goals = {"plain torch": 3, "gReLU": 5}
    return _training("deepbind", "DeepBind training", "windows/s", SEQUENCE_PEERS, goals, rounds)


def conv5_training(rounds: int) -> Row:
    """Five convolutions on 1 kb windows."""
    goals = {"plain torch": 1.5, "gReLU": 2}
    return _training("conv5", "5-layer network, 1 kb windows, training", "windows/s", SEQUENCE_PEERS, goals, rounds)


def unet_training(rounds: int) -> Row:
    """U-Net of 2 M weights on augmented patches of 256 x 256 pixels."""
    goals = dict.fromkeys(IMAGE_PEERS, 3)
    return _training("unet", "U-Net training, 256 x 256 patches", "patches/s", IMAGE_PEERS, goals, rounds)


def resnet_training(rounds: int) -> Row:
    """ResNet-18 of half the usual widths on 2,400 colour images of 28 x 28 pixels, without augmentation."""
    peers = {"plain torch": SEQUENCE_PEERS["plain torch"]}
    return _training("resnet", "ResNet-18 training, 28 x 28", "images/s", peers, {"plain torch": 1.5}, rounds)


def _training(
    name: str, workload: str, unit: str, peers: dict[str, tuple[str, str]], goals: dict[str, float], rounds: int
) -> Row:
    prepare(name)
    task = _task(name)
    sides = {US: Side("biocnn_training", "biocnn", task)}
    sides |= {peer: Side(module, environment, task) for peer, (module, environment) in peers.items()}
    found, missing = in_turn(sides, rounds)
    speed = {side: _rate(results, "epoch", task["examples"]) for side, results in found.items()}
    metric = {side: statistics.median(r["metric"] for r in results) for side, results in found.items()}
    kind = {"unet": "Dice", "resnet": "accuracy"}.get(name, "AUROC")
    lines = [
        {
            "workload": workload, "against": peer, "goal": f"{goals[peer]:g}", "ratio": ratios(found, peer, "epoch"),
            "ours": f"{_three(speed[US])} {unit}", "theirs": f"{_three(speed[peer])} {unit}",
            "remark": f"{kind} {metric[US]:.3f}, peer {metric[peer]:.3f}",
        }
        for peer in found if peer != US
    ]  # fmt: skip
    share = spread([r["share_of_product"] for r in found[US]])
    rate = statistics.median(r["multiply_adds_per_second"] for r in found[US])
    precision = found[US][-1]["precision"]
    lines.append(
        {"workload": workload, "against": f"matrix product, {precision}", "ratio": share,
         "ours": f"{rate / 1e9:,.0f} G/s", "theirs": f"{rate / share['median'] / 1e9:,.0f} G/s",
         "remark": "fraction of that rate, in multiply-adds"}
    )  # fmt: skip
    return {"lines": lines + _absent(workload, missing), "found": found, "task": task}


def _task(name: str) -> dict[str, Any]:
    """Return the task of a side, with the settings of the experiment."""
    path = EXPERIMENTS / f"{name}.yaml"
    train = load(path, DATA).settings.train
    keys = ("epochs", "batch_size", "lr", "patch", "steps_per_epoch")
    examples = train.batch_size * (train.steps_per_epoch or 0)
    if not examples:
        examples = len(np.load(DATA / name / "peers.npz")["train_y"])
    found = {"network": name, "data": _inside(DATA / name), "experiment": _inside(path), "threads": THREADS}
    return found | {key: getattr(train, key) for key in keys} | {"examples": examples}


def unet_inference(rounds: int) -> Row:
    """An image of 2048 x 2048 pixels with a U-Net trained beforehand."""
    prepare("unet")
    folder, workload = DATA / "unet", "U-Net inference, 2048 x 2048"
    task = _task("unet") | {"model": _inside(folder / "model.safetensors")}
    run(Side("biocnn_training", "biocnn", task | {"save": task["model"], "train": {"epochs": 3}}))
    masks = {name: folder / f"mask_{name}.npy" for name in (US, "MONAI")}
    task |= {"batch_size": 4}  # tiles at once
    sides = {
        name: Side(f"{name.lower()}_inference", "biocnn", task | {"mask": _inside(path)})
        for name, path in masks.items()
    }
    found, missing = in_turn(sides, rounds)
    lines = []
    for peer in [name for name in found if name != US]:
        agreement = float((np.load(masks[US]) == np.load(masks[peer])).mean())
        lines.append(
            {"workload": workload, "against": f"{peer} sliding_window_inference", "goal": "3",
             "ratio": ratios(found, peer, "image"), "ours": _seconds(found[US], "image"),
             "theirs": _seconds(found[peer], "image"), "remark": f"{agreement:.3%} of pixels agree (goal 99.9%)"}
        )  # fmt: skip
    return {"lines": lines + _absent(workload, missing), "found": found, "task": task}


def reading_windows(rounds: int) -> Row:
    """20,000 random windows of a genome."""
    prepare("genome")
    genome = open_genome(DATA / "genome" / "encoded")
    longest = max(genome.contigs, key=genome.contigs.get)
    task = {
        "data": _inside(DATA / "genome"), "contig": longest, "range": [2000, genome.contigs[longest] - 2000],
        "lengths": [200, 2000], "number": 20_000, "threads": THREADS,
    }  # fmt: skip
    sides = {US: Side("genome_windows", "biocnn", task | {"reader": US})}
    for peer in ("pyfaidx", "pysam", "tangermeme"):
        sides[peer] = Side("genome_windows", "genome", task | {"reader": peer})
    found, missing = in_turn(sides, rounds)
    for peer, results in found.items():
        if results[0]["check"] != found[US][0]["check"]:
            raise RuntimeError(f"{peer} read other windows: {results[0]['check']}, not {found[US][0]['check']}")
    lines = [
        {"workload": f"reading 20,000 windows of {length} bp", "against": peer, "goal": "5 x best peer",
         "ratio": ratios(found, peer, str(length)), "ours": _seconds(found[US], str(length)),
         "theirs": _seconds(found[peer], str(length)), "remark": f"{peer} {found[peer][0]['version']}"}
        for length in task["lengths"] for peer in found if peer != US
    ]  # fmt: skip
    return {"lines": lines + _absent("reading windows", missing), "found": found, "task": task}


def mutagenesis(rounds: int) -> Row:
    """Saturation mutagenesis of 1 kb sequences."""
    DATA.mkdir(exist_ok=True)
    lines, everything = [], {}
    for network, (settings, number, goal) in MUTATED.items():
        workload = f"{network}, all mutations of {number} x 1 kb"
        saved = {tool: DATA / f"mutations_{network}_{tool}.npy" for tool in (US, "tangermeme")}
        task = {"network": network, "settings": settings, "number": number, "length": 1000, "threads": THREADS}
        sides = {
            tool: Side("mutagenesis", "biocnn", task | {"tool": tool, "save": _inside(path)})
            for tool, path in saved.items()
        }
        found, missing = in_turn(sides, rounds)
        everything[network] = found
        for peer in [tool for tool in found if tool != US]:
            ours, theirs = np.load(saved[US]), np.load(saved[peer])
            lines.append(
                {"workload": workload, "against": peer, "goal": f"{goal}", "ratio": ratios(found, peer, "sequences"),
                 "ours": _seconds(found[US], "sequences"), "theirs": _seconds(found[peer], "sequences"),
                 "remark": f"largest difference {abs(ours - theirs).max():.0e}, effects up to {abs(ours).max():.2g}"}
            )  # fmt: skip
        lines += _absent(workload, missing)
    return {"lines": lines, "found": everything}


def chromosome_scan(rounds: int) -> Row:
    """Scan a segment of a genome with DeepBind, a window every 10 bp: in one convolution, or window by window."""
    prepare("genome")
    folder = DATA / "genome"
    genome = open_genome(folder / "encoded")
    longest = max(genome.contigs, key=genome.contigs.get)
    size = genome.contigs[longest]
    task = {
        "data": _inside(folder), "contig": longest, "start": size // 4, "stride": 10, "threads": THREADS,
        "lengths": {"101": min(10**6, size // 2), "1000": min(10**5, size // 2)},
    }  # fmt: skip
    found_in = {way: folder / f"scan_{way.replace(' ', '_')}" for way in ("at once", "by window")}
    sides = {
        name: Side("chromosome_scan", "biocnn", task | {"way": way, "found": _inside(found_in[way])})
        for name, way in ((US, "at once"), ("window by window", "by window"))
    }
    found, missing = in_turn(sides, rounds)
    peer, lines = "window by window", []
    for window in task["lengths"]:
        ours, theirs = (np.load(f"{path}_{window}.npy") for path in found_in.values())
        number = found[US][0]["windows"][window]
        speed = {side: _rate(results, window, number) for side, results in found.items()}
        lines.append(
            {"workload": f"scan, windows of {window} bp every 10 bp", "against": peer, "goal": "20",
             "ratio": ratios(found, peer, window), "ours": f"{_three(speed[US])} windows/s",
             "theirs": f"{_three(speed[peer])} windows/s",
             "remark": f"largest difference {np.abs(ours - theirs).max():.0e} (goal 1e-5)"}
        )  # fmt: skip
    return {"lines": lines + _absent("scan", missing), "found": found, "task": task}


def variants(rounds: int) -> Row:
    """Score random substitutions with DeepBind, windows of 101 bp, both strands: from VCF to annotated, indexed VCF."""
    prepare("genome")
    prepare("variants")
    folder, number, vcf = DATA / "variants", VARIANTS, DATA / "variants" / "variants.vcf"
    task = {
        "data": _inside(DATA / "genome"), "vcf": _inside(vcf), "window": 101, "channels": [16, 64], "threads": THREADS,
    }  # fmt: skip
    ways = {US: "at once", "pysam and torch": "one by one"}
    paths = {name: folder / f"{way.replace(' ', '_')}" for name, way in ways.items()}
    sides = {
        name: Side("variants", "biocnn", task | {"way": way, "found": _inside(paths[name])})
        for name, way in ways.items()
    }
    found, missing = in_turn(sides, rounds)
    peer, lines = "pysam and torch", []
    for channels in map(str, task["channels"]) if peer in found else ():
        ours, theirs = (np.load(f"{path}_{channels}.npy") for path in paths.values())
        speed = {side: _rate(results, channels, number) for side, results in found.items()}
        lines.append(
            {"workload": f"variants, DeepBind with {channels} kernels", "against": peer, "goal": "20,000 variants/s",
             "ratio": ratios(found, peer, channels), "ours": f"{_three(speed[US])} variants/s",
             "theirs": f"{_three(speed[peer])} variants/s",
             "remark": f"largest difference {abs(ours - theirs).max():.0e}, effects up to {abs(ours).max():.2g}"}
        )  # fmt: skip
    return {"lines": lines + _absent("variants", missing), "found": found, "task": task}


def startup(rounds: int) -> Row:
    """Start-up time of commands."""
    folder = DATA / "experiments"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = (ROOT / "config" / "experiments" / "demo_sequences.yaml").read_text()
    paths = [folder / f"bench{number:03}.yaml" for number in range(100)]
    for path in paths:
        path.write_text(text)
    experiments = ",".join(_inside(path) for path in paths)
    dry = [SNAKEMAKE, "--dry-run", "--nolock", "--config", f"experiments=[{experiments}]"]
    cases = {"biocnn --help": ([BIOCNN, "--help"], 0.3), "snakemake -n, 100 experiments": (dry, 10.0)}
    lines, found = [], {}
    for name, (command, goal) in cases.items():
        found[name] = [_wall(command) for _ in range(max(rounds, 1) + 1)][1:]  # the first run fills the disk cache
        times = spread(found[name])
        lines.append(
            {"workload": name, "against": "", "goal": f"< {goal:g} s", "ours": f"{times['median']:.2f} s",
             "theirs": "", "remark": f"{times['min']:.2f}-{times['max']:.2f} s"}
        )  # fmt: skip
    return {"lines": lines, "found": found}


def _inside(path: Path) -> str:
    """Return a path relative to the working folder of all sides, so that results contain no local paths."""
    return str(path.relative_to(ROOT))


def _three(number: float) -> str:
    """Format with three significant digits."""
    return f"{float(f'{number:.3g}'):,.0f}" if number >= 100 else f"{number:.3g}"


def _wall(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return time.perf_counter() - began


def _rate(results: list[dict[str, Any]], case: str, number: int) -> float:
    return number / statistics.median(r["seconds"][case] for r in results)


def _seconds(results: list[dict[str, Any]], case: str) -> str:
    return f"{statistics.median(r['seconds'][case] for r in results):.3g} s"


def _absent(workload: str, missing: dict[str, str]) -> list[dict[str, str]]:
    return [{"workload": workload, "against": peer, "remark": reason} for peer, reason in missing.items()]


ROWS: dict[str, Callable[[int], Row]] = {
    row.__name__: row
    for row in (
        deepbind_training,
        conv5_training,
        unet_training,
        resnet_training,
        unet_inference,
        segmentation,
        augmentation,
        reading_windows,
        chromosome_scan,
        mutagenesis,
        variants,
        startup,
    )
}
