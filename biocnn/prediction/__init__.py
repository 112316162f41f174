"""Prediction with trained networks: sequences, images, chromosomes."""
