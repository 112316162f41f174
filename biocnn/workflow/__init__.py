"""The steps that Snakemake runs, and the functions that its rules call."""
