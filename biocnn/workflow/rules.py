"""Functions that the Snakefile calls; imports no torch, so that a dry run is quick."""

import hashlib
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from biocnn.config.code_digests import code_of_step
from biocnn.config.experiment import Experiment, load, read_frozen
from biocnn.config.registry import input_of, tasks_for
from biocnn.config.settings import Settings
from biocnn.config.sheet import SHEETS, read_sheet
from biocnn.core.errors import Collector, Faults, InputError, nearest
from biocnn.core.files import read_json, write_json
from biocnn.workflow.cluster import largest
from biocnn.workflow.contents import Contents
from biocnn.workflow.naming import check_name, flow
from biocnn.workflow.resources import Resources, size_mb

RESULTS = Path("results")
DEMO, GENOMES = RESULTS / "demo", RESULTS / "genomes"
FROZEN = RESULTS / "invocation.json"  # what the jobs of an invocation share
FASTAS = ("data.genome", "variants.genome", "scan.genome")
CONFIG = ("experiments", "data_root", "gpus")


class _Frozen(dict[str, Experiment]):
    """Experiments by name, each read from its frozen copy on first access: a job reads no other."""

    def __missing__(self, name: str) -> Experiment:
        self[name] = read_frozen(_frozen(name))
        return self[name]


class Workflow:
    """The experiments of one invocation, and input and parameter functions for the rules.

    Experiments are read once, when the invocation begins; its jobs read frozen copies in the folders of results.

    Parameters
    ----------
    config
        Snakemake's config: experiments (names in config/experiments, or paths of YAML files and of sheets), data_root,
        gpus. Jobs do not read it.
    base
        Folder of the Snakefile.
    begins
        Whether this process starts the invocation; otherwise it is one of its jobs, for which frozen copies exist.
    """

    def __init__(self, config: dict[str, Any], base: Path, begins: bool = True) -> None:
        self.begins = begins
        self.names: list[str] = []
        self.experiments: dict[str, Experiment] = {} if begins else _Frozen()
        self.fastas: dict[str, list[str]] = {}  # path and digest, by the name of the encoded genome
        self.gpus = 0
        if begins:
            self._read(config, base)
        else:
            frozen = read_json(FROZEN)
            self.names, self.fastas, self.gpus = (frozen[key] for key in ("names", "fastas", "gpus"))
        # One process per GPU; torchrun tells each process its GPU.
        # The command, not `-m biocnn.workflow.cli`, which would let files of the working folder shadow packages.
        several = f"torchrun --standalone --nproc-per-node={self.gpus} --no-python biocnn"
        self.train_command = several.split() if self.gpus > 1 else ["biocnn"]
        # Before each shell line; braces are Snakemake's placeholders.
        script = shlex.quote(str(Path(__file__).with_name("attempt.sh"))).replace("{", "{{").replace("}", "}}")
        self.attempt = f"set -euo pipefail; source {script}; "
        self.resources = Resources(self.data_mb, largest)
        self._data_mb: dict[str, float] = {}

    def _read(self, config: dict[str, Any], base: Path) -> None:
        """Read and check all that the config names, and raise all faults."""
        collector = Collector()
        for key in config:
            with collector:
                if key not in CONFIG:
                    raise InputError(f"--config {key}=...: unknown key", nearest(key, CONFIG))
        self.data_root, self.contents = str(config.get("data_root", ".")), Contents()
        with collector:
            self.gpus = _gpus(config.get("gpus", 0))
        named = config.get("experiments") or []
        for given in map(str, named if isinstance(named, list) else [named]):
            with collector:
                path = _path_of(given, base)
                take = partial(self._take, given, base)
                if path.endswith(SHEETS):
                    read_sheet(path, self.data_root, partial(_path_of, base=base), take)
                else:
                    take(load(path, self.data_root), f"{path}: ")
        with collector:
            if not named:
                remedy = "for example --config experiments=[demo_sequences], or biocnn run my.yaml"
                raise InputError("experiments: none given", remedy)
        collector.finish()
        self.contents.keep()

    def _take(self, given: str, base: Path, experiment: Experiment, where: str = "") -> None:
        """Check the name and the contigs of an experiment, and add it; ``where`` is that of its own file, if any."""
        name, settings = experiment.name, experiment.settings
        check_name(name, experiment.source if where else "")
        if name in self.names:
            raise InputError(f"experiments: duplicate name {name!r}", "rename one of them")
        self.names.append(name)
        files = {str(file): key for key, file in experiment.files.items() if not _under_results(file)}
        contents = {file: self.contents.of(file, table=key == "data.table") for file, key in files.items()}
        command = self._command(given, base, *([] if where else [report_of(name)]))
        experiment = self.experiments[name] = replace(experiment, contents=contents, command=command)
        encoded = {file: _key(contents, file) for key, file in experiment.files.items() if key in FASTAS}
        self.fastas |= {key: [str(file), contents.get(str(file), str(file))] for file, key in encoded.items()}
        if any(isinstance(names, list) for names in (settings.split.val, settings.split.test, settings.scan.contigs)):
            from biocnn.io.quick_contigs import absent_contigs  # slow to import

            collector = Collector()
            collector.faults += absent_contigs(settings, {file: GENOMES / key for file, key in encoded.items()})
            collector.finish(where)

    def _command(self, given: str, base: Path, *targets: str) -> str:
        """Return the command that runs one experiment as this invocation does; ``targets`` are files to make."""
        values = {"experiments": [given], "data_root": self.data_root, "gpus": self.gpus}
        usual = {"data_root": ".", "gpus": 0}
        words = [f"{key}={flow(value)}" for key, value in values.items() if value != usual.get(key)]
        where = [] if base.resolve() == Path.cwd() else ["--snakefile", str(base / "Snakefile")]
        return shlex.join(["snakemake", *targets, *where, "--cores", "all", "--config", *words])

    def freeze(self) -> None:
        """Write the frozen copies for the jobs, and hash the files that they read; called when a run starts."""
        if self.begins:
            write_json({"names": self.names, "fastas": self.fastas, "gpus": self.gpus}, FROZEN)
            for name, experiment in self.experiments.items():
                experiment.freeze(_frozen(name))
            self.contents.settle()

    def config_of(self, wildcards: Any) -> str:
        """Return the path of the frozen copy of the experiment."""
        return str(_frozen(wildcards.experiment))

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
        return f"{GENOMES}/{_key(experiment.contents, path)}"

    def products(self) -> dict[str, list[str]]:
        """Return what a user looks at first, by experiment: the report, and what was made of new data."""
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


def _under_results(path: Path) -> bool:
    return path.parts[:1] == RESULTS.parts


def _made(path: Path) -> str:
    """Return what a rule makes for a file in ``results/``: the folder for simulated data; "" for other files."""
    if not _under_results(path):
        return ""
    return str(DEMO / path.parts[2]) if path.parts[:2] == DEMO.parts else str(path)


def _key(contents: dict[str, str], fasta: Path) -> str:
    """Return the name of an encoded genome, shared by experiments whose FASTA files have the same content."""
    word = re.sub(r"[^A-Za-z0-9_-]", "_", fasta.name.split(".")[0])[:40]
    return f"{word}-{hashlib.sha1(contents.get(str(fasta), str(fasta)).encode()).hexdigest()[:8]}"


def report_of(name: str) -> str:
    """Return the path of the report on an experiment."""
    return f"{RESULTS}/{name}/report.html"


def _frozen(name: str) -> Path:
    return RESULTS / name / "experiment.json"


def _path_of(given: str, base: Path) -> str:
    """Return the file of experiments, given by path or, if it is a YAML file, by name in config/experiments."""
    known = (".yaml", ".yml", *SHEETS)
    if Path(given).suffix and not given.endswith(known) and Path(given).is_file():
        raise InputError(f"{given}: neither a YAML file nor a sheet", f"save it as one of {', '.join(known)}")
    path = given if given.endswith(known) else f"config/experiments/{given}.yaml"
    path = str(Path(path).expanduser()) if path.startswith("~") else path
    return path if Path(path).exists() or not (base / path).exists() else str(base / path)


def _gpus(given: Any) -> int:
    number = str(given)
    if isinstance(given, bool) or not re.fullmatch("[0-9]{1,4}", number):
        raise InputError(f"gpus: must be a whole number >= 0 (given: {number!r})", "for example --config gpus=1")
    return int(number)


def _argument(path: Path) -> str:
    """Return a path that cannot be taken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def refuse_containers(workflow: Any) -> None:
    """Exit with status 2 if rules are to run in containers, which would lack biocnn."""
    methods = {method.name for method in workflow.deployment_settings.deployment_method}
    if "APPTAINER" in methods:
        fault = InputError(
            "--sdm apptainer: rules need the environment that Snakemake runs in",
            "leave the option out; to use a container, start Snakemake in one where biocnn is installed",
        )
        print(f"biocnn: {fault}", file=sys.stderr)
        sys.exit(2)


def open_workflow(config: dict[str, Any], base: str, begins: bool) -> Workflow:
    """Load the experiments; on faults, print them as the last lines and exit with status 2, without a traceback."""
    try:
        return Workflow(config, Path(base), begins)
    except InputError as error:
        faults = error.faults if isinstance(error, Faults) else [error]
        if len(faults) > 1:
            print(f"biocnn: {len(faults)} faults; nothing was run", file=sys.stderr)
        for fault in faults:
            print(f"biocnn: {fault}", file=sys.stderr)
        sys.exit(2)
