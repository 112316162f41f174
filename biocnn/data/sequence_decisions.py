"""Settings of sequence experiments that are decided from the data: strands, batch, epochs; each with a reason."""

from biocnn.config.settings import Settings
from biocnn.config.strands import RNA
from biocnn.data.whole_decisions import Choice
from biocnn.tasks.facts import Decision, Facts

SEEN = 60_000  # sequences, repeats included, that a training sees
EPOCHS = (10, 60)
BATCHES = ((20_000, 128), (1000, 64), (0, 32))  # (number of training sequences, sequences per batch)


def decide_sequences(facts: Facts, settings: Settings | None = None) -> dict[str, Decision]:
    """Decide strands, batch_size and epochs.

    Parameters
    ----------
    facts
        Facts about the data set: n, alphabet.
    settings
        Settings of an experiment, whose values override decisions; None: decide all.
    """
    train, model = (settings.train, settings.model) if settings else (None, None)
    number, rna = facts.n.train if facts.n else 0, facts.alphabet == RNA
    low, high = EPOCHS
    epochs = min(high, max(low, round(SEEN / max(number, 1))))
    choose, why = Choice(), f"for {number:,} training sequences"
    choose(
        "strands",
        model,
        "model",
        Decision(
            value="single" if rna else "both",
            reason="RNA has one strand" if rna else "DNA may be read from either strand",
        ),
    )
    choose("batch_size", train, "train", Decision(value=next(b for n, b in BATCHES if number >= n), reason=why))
    seen = f"about {SEEN:,} sequences in all, repeats included ({low} to {high} epochs)"
    choose("epochs", train, "train", Decision(value=epochs, reason=seen))
    return choose.found
