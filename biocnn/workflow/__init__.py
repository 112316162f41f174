"""The steps that Snakemake runs, and what its rules need to know."""
