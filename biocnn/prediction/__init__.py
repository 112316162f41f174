"""A trained network put to use: batches, tiles, chromosomes."""
