"""Layers and blocks that all networks are made of, in one, two and three dimensions."""
