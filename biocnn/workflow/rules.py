"""Functions that the Snakefile calls; imports no torch, so that a dry run is quick."""

import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from biocnn.config.code_digests import code_of_step
from biocnn.config.registry import input_of, tasks_for
from biocnn.config.settings import Settings
from biocnn.core.errors import Faults, InputError
from biocnn.workflow.closing import refuse
from biocnn.workflow.cluster import largest
from biocnn.workflow.invocation import GENOMES, RESULTS, Invocation, genome_name, report_of, under_results
from biocnn.workflow.resources import Resources, size_mb

DEMO = RESULTS / "demo"


class Workflow(Invocation):
    """Input and parameter functions for the rules, about the experiments of one invocation."""

    def __init__(self, config: dict[str, Any], base: Path, begins: bool = True) -> None:
        super().__init__(config, base, begins)
        # One process per GPU; torchrun assigns each process its GPU.
        # The command, not `-m biocnn.workflow.cli`, which would let files of the working folder shadow packages.
        several = f"torchrun --standalone --nproc-per-node={self.gpus} --no-python biocnn"
        self.train_command = several.split() if self.gpus > 1 else ["biocnn"]
        # Before each shell line; braces are Snakemake's placeholders.
        script = shlex.quote(str(Path(__file__).with_name("attempt.sh"))).replace("{", "{{").replace("}", "}}")
        self.attempt = f"set -euo pipefail; source {script}; "
        self.resources = Resources(self.data_mb, largest)
        self._data_mb: dict[str, float] = {}

    def made(self, *sections: str) -> Callable[[Any], list[str]]:
        """Return an input function: files in sections that other rules make; other files count by their content."""

        def found(wildcards: Any) -> list[str]:
            files = self.experiments[wildcards.experiment].files
            return sorted({_made(path) for key, path in files.items() if key.split(".")[0] in sections} - {""})

        return found

    def genome(self, wildcards: Any) -> list[str]:
        """Return the encoded genome, shared by all experiments with the same FASTA file."""
        wanted = "data.genome" in self.experiments[wildcards.experiment].files
        return [self._encoded(wildcards, "data")] if wanted else []

    def variants_genome(self, wildcards: Any) -> str:
        """Return the encoded genome that the variants refer to."""
        return self._encoded(wildcards, "variants")

    def scanned_genome(self, wildcards: Any) -> str:
        """Return the encoded genome to scan."""
        return self._encoded(wildcards, "scan")

    def genome_option(self, wildcards: Any) -> list[str]:
        """Return ``--genome FOLDER`` for experiments with a genome."""
        return [f"--genome={folder}" for folder in self.genome(wildcards)]

    def file(self, key: str) -> Callable[[Any, Any], str]:
        """Return a function that gives the path of a file for a command line.

        It takes ``input`` because Snakemake does not compare parameters that are derived from it: a file that was
        moved is the same file.
        """
        return lambda wildcards, input: _argument(self.experiments[wildcards.experiment].files[key])

    def fasta(self, wildcards: Any, input: Any) -> str:
        """Return the FASTA file of an encoded genome; takes ``input`` for the same reason as ``file``."""
        return _argument(self._fasta(wildcards))

    def made_fasta(self, wildcards: Any) -> list[str]:
        """Return the FASTA file if a rule makes it."""
        return sorted({_made(self._fasta(wildcards))} - {""})

    def fasta_contents(self, wildcards: Any) -> str:
        """Return the digest of the FASTA file."""
        return self.fastas[wildcards.genome][1]

    def runs(self, wildcards: Any) -> list[str]:
        """Return the names of the runs of an experiment."""
        seeds = self._settings(wildcards).train.seeds
        return [f"{fold}-seed{seed}" for fold in self._folds(wildcards) for seed in seeds]

    def shares(self, wildcards: Any) -> list[str]:
        """Return the names of the runs on shares of the training split."""
        shares = self._settings(wildcards).train.learning_curve
        return [f"{run}-share{share:g}" for share in shares for run in self.runs(wildcards)]

    def of_shares(self, pattern: str) -> Callable[[Any], list[str]]:
        """Return an input function that fills {experiment} and each run on a share into ``pattern``."""
        return lambda wildcards: [
            pattern.format(experiment=wildcards.experiment, run=run) for run in self.shares(wildcards)
        ]

    def learning_curves(self, wildcards: Any) -> list[str]:
        """Return the table of the learning curve, for experiments that ask for one."""
        wanted = self._settings(wildcards).train.learning_curve
        return [f"{RESULTS}/{wildcards.experiment}/learning_curve.tsv"] if wanted else []

    def of_runs(self, pattern: str) -> Callable[[Any], list[str]]:
        """Return an input function that fills {experiment} and each {run} into ``pattern``."""
        return lambda wildcards: [
            pattern.format(experiment=wildcards.experiment, run=run) for run in self.runs(wildcards)
        ]

    def data_mb(self, wildcards: Any) -> float:
        """Return the MB of data of an experiment: as stored, or else of its files; or of the FASTA file of a genome."""
        names = dict(wildcards.items())
        stored = RESULTS / names.get("experiment", "") / "dataset"
        key = str(stored) if stored.is_dir() else names.get("experiment") or names.get("genome") or ""
        if key not in self._data_mb:
            files = [stored]
            if not stored.is_dir():
                files = [self._fasta(wildcards)] if "genome" in names else []
                files += {*self.experiments[names["experiment"]].files.values()} if "experiment" in names else ()
            self._data_mb[key] = sum(map(size_mb, files))
        return self._data_mb[key]

    def threads(self, wildcards: Any) -> int:
        """Return the number of torch threads."""
        return self._settings(wildcards).train.threads

    def code(self, step: str, *sections: str) -> Callable[[Any], str]:
        """Return a function that gives the digest of a step's code, including classes that these sections name."""

        def word(wildcards: Any) -> str:
            settings = self._settings(wildcards) if sections else None
            return code_of_step(step, settings, sections) if self.begins else ""

        return word

    def depends(self, *sections: str, leave: tuple[str, ...] = ()) -> Callable[[Any], str]:
        """Return a function that gives what a rule depends on: the values of these sections and nothing else."""
        return lambda wildcards: self.experiments[wildcards.experiment].only(*sections, leave=leave)

    def uncertainties(self, wildcards: Any) -> list[str]:
        """Return the output of the uncertainty step, by default where a task of the data has a judge of it."""
        settings = self._settings(wildcards)
        wanted = settings.uncertainty.methods
        if wanted is None:
            wanted = [task.name for task in tasks_for(settings.data.name) if task.uncertainty]
        return [f"{RESULTS}/{wildcards.experiment}/uncertainty"] if wanted else []

    def negatives(self, wildcards: Any) -> list[str]:
        """Return the test on other negatives, for sequences."""
        given = input_of(self._settings(wildcards).data.name)
        return [f"{RESULTS}/{wildcards.experiment}/negatives.tsv"] if given is None or given.at_loci else []

    def applied(self, wildcards: Any) -> list[str]:
        """Return the output of the apply step, for experiments with new images."""
        wanted = "apply.images" in self.experiments[wildcards.experiment].files
        return [f"{RESULTS}/{wildcards.experiment}/apply"] if wanted else []

    def features(self, wildcards: Any) -> list[str]:
        """Return the vectors of the first run, for experiments that ask for likeness."""
        folder = f"{RESULTS}/{wildcards.experiment}/runs/{self.runs(wildcards)[0]}/features"
        return [folder] if self._settings(wildcards).explain.likeness else []

    def _settings(self, wildcards: Any) -> Settings:
        return self.experiments[wildcards.experiment].settings

    def _folds(self, wildcards: Any) -> list[str]:
        return [f"fold{i}" for i in range(self._settings(wildcards).split.folds or 1)]

    def variants(self, wildcards: Any) -> list[str]:
        """Return the output of the variants step, for experiments with variants."""
        wanted = "variants.vcf" in self.experiments[wildcards.experiment].files
        return [f"{RESULTS}/{wildcards.experiment}/variants"] if wanted else []

    def scans(self, wildcards: Any) -> list[str]:
        """Return the output of the scan step, for experiments with contigs to scan."""
        wanted = self._settings(wildcards).scan.contigs
        return [f"{RESULTS}/{wildcards.experiment}/scan"] if wanted else []

    def _fasta(self, wildcards: Any) -> Path:
        """Return the FASTA file of an encoded genome."""
        return Path(self.fastas[wildcards.genome][0])

    def _encoded(self, wildcards: Any, section: str) -> str:
        experiment = self.experiments[wildcards.experiment]
        path = experiment.files.get(f"{section}.genome") or experiment.files["data.genome"]
        return f"{GENOMES}/{genome_name(experiment.contents, path)}"

    def products(self) -> dict[str, list[str]]:
        """Return what a user looks at first, by experiment: the report, and results for new data."""
        found = {}
        for name in self.names:
            of = SimpleNamespace(experiment=name)
            new = [*self.applied(of), *self.variants(of), *self.scans(of)]
            found[name] = [report_of(name), *new]
        return found

    def trials(self, wildcards: Any) -> list[str]:
        """Return the outputs of all trials of a fold."""
        section = self._settings(wildcards).calibrate
        folder = f"{RESULTS}/{wildcards.experiment}/calibrate/{wildcards.fold}"
        return [f"{folder}/{name}.json" for name in section.names]

    def calibrations(self, wildcards: Any) -> list[str]:
        """Return the tables of trials, one per fold, if the experiment asks for a calibration."""
        folder = f"{RESULTS}/{wildcards.experiment}/calibrate"
        return [f"{folder}/{fold}/trials.tsv" for fold in self._folds(wildcards) if self._calibrated(wildcards)]

    def best_settings(self, wildcards: Any) -> list[str]:
        """Return the file with the best settings for the fold of a run."""
        fold = wildcards.run.split("-")[0]
        file = f"{RESULTS}/{wildcards.experiment}/calibrate/{fold}/best.json"
        return [file] if self._calibrated(wildcards) else []

    def settings_option(self, wildcards: Any) -> list[str]:
        """Return ``--settings FILE`` for runs whose settings were chosen by trials."""
        return [f"--settings={file}" for file in self.best_settings(wildcards)]

    def _calibrated(self, wildcards: Any) -> bool:
        return bool(self._settings(wildcards).calibrate.names)


def _made(path: Path) -> str:
    """Return what a rule makes for a file in ``results/``: the folder for simulated data; "" for other files."""
    if not under_results(path):
        return ""
    return str(DEMO / path.parts[2]) if path.parts[:2] == DEMO.parts else str(path)


def _argument(path: Path) -> str:
    """Return a path that cannot be taken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def refuse_containers(workflow: Any) -> None:
    """Exit with status 2 if rules are to run in containers, which would lack biocnn."""
    methods = {method.name for method in workflow.deployment_settings.deployment_method}
    if "APPTAINER" in methods:
        remedy = "leave the option out; to use a container, start Snakemake in one where biocnn is installed"
        refuse([InputError("--sdm apptainer: rules need the environment that Snakemake runs in", remedy)])


def open_workflow(config: dict[str, Any], base: str, begins: bool) -> Workflow:
    """Load the experiments; exit with status 2 if there are faults."""
    try:
        return Workflow(config, Path(base), begins)
    except InputError as error:
        refuse(error.faults if isinstance(error, Faults) else [error])
