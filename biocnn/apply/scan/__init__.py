"""Peaks and tracks along chromosomes."""
