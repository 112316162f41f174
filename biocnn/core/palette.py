"""Colours of all figures: the palette of Okabe & Ito, distinguishable with all common types of colour vision."""

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW = "#56B4E9", "#CC79A7", "#F0E442"
OF_CLASSES = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY)  # boxes of each class


def class_colour(k: int) -> str:
    """Return the colour of a class, by its number from 0."""
    return OF_CLASSES[k % len(OF_CLASSES)]


def object_colours(count: int) -> list[str]:
    """Return the colour of the outlines of the objects of each class; of a single class yellow, as in the report."""
    return [YELLOW] if count == 1 else [class_colour(k) for k in range(count)]
