"""What variants change: VCF in, annotated and indexed VCF out. See ``step.annotate``."""
