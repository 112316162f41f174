"""Layers and blocks of all networks, in one, two and three dimensions."""
