"""Image rows of the benchmark other than training and inference."""

import statistics
from typing import Any

from benchmarks.data import DATA, ROOT, prepare
from benchmarks.rounds import US, Side, in_turn, ratios

PATCH = [256, 256]
FILES = {"image": "image.tif", "model": "model.safetensors", "out": "segmented"}


def augmentation(rounds: int) -> dict[str, Any]:
    """The default augmentations of patches with masks, in one thread."""
    task = {"patch": PATCH, "threads": 1}
    sides = {tool: Side("augmentation", "biocnn", task | {"tool": tool}) for tool in (US, "MONAI")}
    found, missing = in_turn(sides, rounds)
    each = {tool: 1e3 * statistics.median(r["seconds"]["patch"] for r in results) for tool, results in found.items()}
    workload = "augmentation, 256 x 256 patches"
    lines = [
        {"workload": workload, "against": f"{peer} transforms", "goal": "3", "ratio": ratios(found, peer, "patch"),
         "ours": f"{each[US]:.3g} ms per patch", "theirs": f"{each[peer]:.3g} ms per patch",
         "remark": "default set, with equal probabilities and ranges"}
        for peer in found if peer != US
    ]  # fmt: skip
    lines += [{"workload": workload, "against": peer, "remark": reason} for peer, reason in missing.items()]
    return {"lines": lines, "found": found, "task": task}


def segmentation(rounds: int) -> dict[str, Any]:
    """An image of 4096 x 4096 pixels: to labels and a table of objects, and to the network's maps only."""
    prepare("objects")
    folder = DATA / "objects"
    paths = {key: str((folder / name).relative_to(ROOT)) for key, name in FILES.items()}
    task = paths | {"threads": 2}
    sides = {tool: Side("segmentation", "biocnn", task | {"tool": tool}) for tool in (US, "MONAI")}
    found, missing = in_turn(sides, rounds)
    workload = "segmentation, 4096 x 4096, file to labels and table"
    lines = []
    for peer in [name for name in found if name != US]:
        memory = {tool: max(r["peak_gb"] for r in found[tool]) for tool in (US, peer)}
        ours, theirs = (f"{statistics.median(r['seconds']['image'] for r in found[t]):.3g} s" for t in (US, peer))
        lines.append(
            {"workload": workload, "against": f"{peer}, network only, overlap 0.25", "goal": "1",
             "ratio": ratios(found, peer, "image"), "ours": ours, "theirs": theirs,
             "remark": f"{found[US][0]['found']:,} objects; peak {memory[US]:.1f} GB, peer {memory[peer]:.1f} GB"}
        )  # fmt: skip
    lines += [{"workload": workload, "against": peer, "remark": reason} for peer, reason in missing.items()]
    return {"lines": lines, "found": found, "task": task}
