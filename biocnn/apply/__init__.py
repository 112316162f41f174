"""Trained networks on new data: images, variants, chromosomes."""
