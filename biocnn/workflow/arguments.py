"""Help texts for the arguments of all commands; a name means the same everywhere, except for those with a command."""

ARGUMENTS = {
    "audit": "TSV to write: comparison with simple models",
    "best": "JSON to write: the best settings, for `biocnn train --settings`",
    "config": "experiment: its YAML file, or results/NAME/experiment.json, which the workflow writes",
    "cores": "number of CPU cores to use at once, or all",
    "covariates": "table of the covariates of images: image, and a column for each; for models trained with some",
    "data": "folder from `biocnn dataset`",
    "data_root": "folder that relative paths in the experiment start at",
    "decided": "masks or labels by the ensemble of all runs (.npz)",
    "doctor": "folder to write: findings on individual images",
    "errors": "TSV to write: the examples predicted worst",
    "experiments": "YAML files of your own, or names of those that come with biocnn (config/experiments)",
    "fasta": "FASTA file: plain, gzip or bgzip",
    "figures": "folder to write: the figures of the report",
    "files": "data: files and folders (default: all in the current folder)",
    "fold": "fold0, fold1, ...; fold0 without folds",
    "genome": "FASTA file, or folder from `biocnn genome`",
    "gpus": "number of GPUs for each training; 0 trains on CPUs",
    "history": "TSV to write: losses and metrics of each epoch",
    "html": "page to write",
    "kind": "data to simulate: sequences, nuclei, cells, leukocytes or biopsies",
    "matches": "TSV to write: true and predicted objects",
    "metrics": "metrics.tsv from `biocnn evaluate`, beside the folder of the runs",
    "model": "model.safetensors",
    "models": "model.safetensors of one or more runs, whose predictions are averaged",
    "name": "name of the experiment, whose results go to results/NAME",
    "names": "data sets to download; none: list them",
    "out": "file or folder to write",
    "pages": "reports of all experiments: results/NAME/report.html",
    "partition": "partition of SLURM to compare with what the steps request",
    "per_example": "TSV to write: metrics of each example",
    "prefix": "start of the names of INFO fields",
    "raw": "folder from `biocnn check`",
    "run": "folder of a run: results/NAME/runs/fold0-seed1",
    "runs": "folders of runs, with model.safetensors and predictions",
    "seed": "seed of the random numbers",
    "settings": "JSON from `biocnn calibrate`, which replaces settings of the experiment",
    "simple": "folder from `biocnn baselines`",
    "state": "folder for the state of an unfinished training, from which the same command resumes",
    "table": "TSV to write: all trials, the best first",
    "to": "folder to write",
    "trainings": "TSV to write: all trainings",
    "trials": "files from `biocnn trial`",
    "trust": "modules that define networks of your own, separated by commas; loading such a model runs their code",
    "tsv": "table to write",
    "vcf": "VCF or BCF: plain, gzip or bgzip",
    "yes": "ask nothing: take the default of each question, as without a terminal",
    "verbose": "show all that Snakemake reports, such as the reason of each job",
    "check.raw": "folder to write",
    "explain.data": "new sequences or images: files as above, or a folder from `biocnn dataset`",
    "explain.genome": "genome of the sequences: FASTA file, or folder from `biocnn genome`",
    "explain.models": "model.safetensors to explain; of a stored data set, then those of the other runs",
    "explain.out": "folder to write",
    "predict.data": "new sequences or images: files as above, or a folder from `biocnn dataset`",
    "predict.genome": "genome of the intervals: FASTA file, or folder from `biocnn genome`",
    "predict.out": "folder to write",
    "curve.runs": "folders of the runs on shares of the training split, with model.safetensors and predictions",
    "evaluate.decided": "NPZ to write: masks or labels by the ensemble of all runs",
    "train.model": "model.safetensors to write",
    "train.run": "fold and seed: fold0-seed1; for a learning curve with a share: fold0-seed1-share0.25",
    "trial.name": "fold, trial and part of the trial, from 0: fold0-trial3-part1",
}
DEFAULTS = {
    "config": "defaults of biocnn, or of the models",
    "cores": "all",
    "partition": "SLURM's default",
    "genome": "read data.genome of the experiment",
    "explain.genome": "none is known",
    "gpus": "0, or as in config/config.yaml",
    "predict.genome": "none, for other data",
    "prefix": "BIOCNN",
    "start.name": "from the names of the files",
    "run.data_root": "the current folder, or as in config/config.yaml",
    "state": "none is kept",
    "variants.seed": "that of the experiment, or 1",
}  # what is used if an option without a default value is left out


def text_of(command: str, name: str, default: object) -> str:
    """Return the help text of an argument, with what is used if it is left out; ``default`` None: nothing to report."""
    text = ARGUMENTS.get(f"{command}.{name}") or ARGUMENTS.get(name, "")
    without = DEFAULTS.get(f"{command}.{name}") or DEFAULTS.get(name)
    used = without if default in (None, "") else default
    return f"{text} (default: {used})" if used is not None and default is not REQUIRED else text


REQUIRED = object()  # as a default: the argument must be given
