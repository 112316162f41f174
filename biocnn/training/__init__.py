"""Training: from a stored data set to a trained network."""
