"""Experiments: the YAML file, its schema, and the names that it may use."""
