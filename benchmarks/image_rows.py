"""Rows about images that need no data of their own."""

import statistics
from typing import Any

from benchmarks.rounds import US, Side, in_turn, ratios

PATCH = [256, 256]


def augmentation(rounds: int) -> dict[str, Any]:
    """The default set of augmentations, patches with their masks, in one thread."""
    task = {"patch": PATCH, "threads": 1}
    sides = {tool: Side("augmentation", "biocnn", task | {"tool": tool}) for tool in (US, "MONAI")}
    found, missing = in_turn(sides, rounds)
    each = {tool: 1e3 * statistics.median(r["seconds"]["patch"] for r in results) for tool, results in found.items()}
    workload = "augmentation, 256 x 256 patches"
    lines = [
        {"workload": workload, "against": f"{peer} transforms", "goal": "3", "ratio": ratios(found, peer, "patch"),
         "ours": f"{each[US]:.3g} ms a patch", "theirs": f"{each[peer]:.3g} ms a patch",
         "remark": "the default set, in the same shares and ranges"}
        for peer in found if peer != US
    ]  # fmt: skip
    lines += [{"workload": workload, "against": peer, "remark": reason} for peer, reason in missing.items()]
    return {"lines": lines, "found": found, "task": task}
