"""Colours of all figures: the palette of Okabe & Ito, distinguishable with all common types of colour vision."""

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW = "#56B4E9", "#CC79A7", "#F0E442"
OF_CLASSES = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY)  # boxes of each class
