"""Counts with their nouns, for messages."""


def plural(count: int, noun: str) -> str:
    """Format a count with its noun: "1 run", "3 runs", "2 boxes", "4 axes", "5 epochs"."""
    if count == 1:
        return f"1 {noun}"
    if noun.endswith("is"):
        return f"{count:,} {noun.removesuffix('is')}es"
    return f"{count:,} {noun}{'es' if noun.endswith(('s', 'x', 'tch', 'nch')) else 's'}"
