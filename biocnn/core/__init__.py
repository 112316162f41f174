"""Foundations: errors, files, locks, memory, processes."""
