"""Predict variant effects: VCF in, annotated and indexed VCF out. See ``step.annotate``."""
