"""Scan chromosomes: tracks and peaks."""
