"""Settings of sequence experiments that are decided from the data: strands, batch, epochs; each with a reason.

For classes of bases also the levels of a U-Net, and how often it sees windows with a class.
"""

import math
from typing import Any

from biocnn.config.settings import Settings
from biocnn.config.strands import RNA
from biocnn.core.plurals import plural
from biocnn.data.whole_decisions import Choice
from biocnn.tasks import make_task
from biocnn.tasks.facts import Decision, Facts

SEEN = 60_000  # sequences, repeats included, that a training sees
EPOCHS = (10, 60)
BATCHES = ((20_000, 128), (1000, 64), (0, 32))  # (number of training sequences, sequences per batch)
# For maps, whose cost grows with the length of sequences:
BASES_SEEN = 12_000_000
BATCH_BASES = 2**13  # many steps matter more than large ones where few bases are of a class
MAP_EPOCHS = (4, 40)
FINEST = 64  # bp of a window at the deepest level of a U-Net
LEVELS = (2, 6)
WIDTHS = (32, 48, 64)  # channels of the levels, the last for all deeper ones
KERNELS = (11, 5)  # of the first level, as long as a motif, and of the others
FOREGROUND = 0.5  # share of windows with a class


def decide_sequences(facts: Facts, settings: Settings | None = None) -> dict[str, Decision]:
    """Decide strands, batch_size and epochs; for maps also channels, kernel_size and foreground.

    Parameters
    ----------
    facts
        Facts about the data set: n, alphabet; for maps also window, and occupied if bases have classes.
    settings
        Settings of an experiment, whose values override decisions; None: decide all.
    """
    train, model = (settings.train, settings.model) if settings else (None, None)
    number, rna = facts.n.train if facts.n else 0, facts.alphabet == RNA
    low, high = EPOCHS
    epochs = min(high, max(low, round(SEEN / max(number, 1))))
    choose, why = Choice(), f"for {plural(number, 'training sequence')}"
    choose(
        "strands",
        model,
        "model",
        Decision(
            value="single" if rna else "both",
            reason="RNA has one strand" if rna else "DNA may be read from either strand",
        ),
    )
    if make_task(facts).target.spatial:
        _decide_maps(facts, train, model, choose)
        return choose.found
    choose("batch_size", train, "train", Decision(value=next(b for n, b in BATCHES if number >= n), reason=why))
    seen = f"about {SEEN:,} sequences in all, repeats included ({low} to {high} epochs)"
    choose("epochs", train, "train", Decision(value=epochs, reason=seen))
    return choose.found


def _decide_maps(facts: Facts, train: Any, model: Any, choose: Choice) -> None:
    window, number = facts.window or FINEST, facts.n.train if facts.n else 0
    low, high = LEVELS
    levels = min(high, max(low, 1 + int(math.log2(window / FINEST))))
    channels = [WIDTHS[min(level, len(WIDTHS) - 1)] for level in range(levels)]
    deepest = f"{levels} levels leave {window / 2 ** (levels - 1):g} of {window} bp of a window"
    choose("channels", model, "model", Decision(value=channels, reason=deepest))
    kernels = [KERNELS[min(level, 1)] for level in range(levels)]
    choose("kernel_size", model, "model", Decision(value=kernels, reason="the first level reads motifs"))
    batch = max(4, min(64, BATCH_BASES // window))
    choose("batch_size", train, "train", Decision(value=batch, reason=f"about {BATCH_BASES:,} bases per step"))
    foreground = Decision(value=0.0, reason=f"{facts.occupied:.0%} of the windows have a class: each is seen once")
    if not make_task(facts).target.labelled:
        foreground = Decision(value=0.0, reason="bases have no classes, so each window is seen once")
    elif 0 < facts.occupied < FOREGROUND:
        number = round(number * facts.occupied / FOREGROUND)
        why = f"{facts.occupied:.0%} of the windows have a class: in each epoch all of these, and as many others"
        foreground = Decision(value=FOREGROUND, reason=why)
    choose("foreground", train, "train", foreground)
    low, high = MAP_EPOCHS
    epochs = min(high, max(low, round(BASES_SEEN / max(1, number * window))))
    seen = f"about {BASES_SEEN:,} bases in all, repeats included ({low} to {high} epochs)"
    choose("epochs", train, "train", Decision(value=epochs, reason=seen))
