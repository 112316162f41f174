"""What the Snakefile needs to know of the experiments; imports no torch, so that a dry run is quick."""

import hashlib
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from biocnn.config.code_digests import code_of_step
from biocnn.config.experiment import Experiment, load, read_frozen
from biocnn.config.registry import input_of
from biocnn.config.settings import Settings
from biocnn.core.errors import Collector, Faults, InputError, nearest
from biocnn.workflow.contents import Contents
from biocnn.workflow.naming import check_name, flow

RESULTS = Path("results")
DEMO = RESULTS / "demo"
CONFIG = ("experiments", "data_root", "gpus")
KILLED = re.compile(r"^.*(?:slurmstepd.*(?:memory|oom)|OUT_OF_MEMORY|exit status 137\b).*$", re.MULTILINE)


class _Frozen(dict[str, Experiment]):
    """Experiments by name, each read from its frozen copy when a rule asks for it."""

    def __missing__(self, name: str) -> Experiment:
        self[name] = read_frozen(_frozen(name))
        return self[name]


class Workflow:
    """The experiments of one invocation, and input and parameter functions for the rules.

    What was read as the invocation began holds until it ends: jobs get frozen copies, in their own folders.

    Parameters
    ----------
    config
        Snakemake's config: experiments (names under config/experiments, or paths of YAML files), data_root, gpus.
    base
        Folder of the Snakefile.
    begins
        Whether the invocation begins here; else this is one of its jobs, which finds the frozen copies.
    """

    def __init__(self, config: dict[str, Any], base: Path, begins: bool = True) -> None:
        collector = Collector()
        for key in config:
            with collector:
                if key not in CONFIG:
                    raise InputError(f"--config {key}=...: unknown key", nearest(key, CONFIG))
        self.data_root = str(config.get("data_root", "."))
        self.gpus = 0
        with collector:
            self.gpus = _gpus(config.get("gpus", 0))
        # One process a GPU; torchrun tells each which one it is.
        # The command, not `-m biocnn.workflow.cli`: that would let files of the working folder stand for packages.
        several = f"torchrun --standalone --nproc-per-node={self.gpus} --no-python biocnn"
        self.train_command = several.split() if self.gpus > 1 else ["biocnn"]
        self.begins, self.contents = begins, Contents()
        self.names: list[str] = []
        self.experiments: dict[str, Experiment] = {} if begins else _Frozen()
        named = config.get("experiments") or []
        for given in named if isinstance(named, list) else [named]:
            with collector:
                given = str(given)
                path = _yaml_of(given, base)
                name = Path(path).stem
                check_name(name, path)
                if name in self.names:
                    raise InputError(f"experiments: two are named {name!r}", "rename one of the files")
                self.names.append(name)
                if begins:
                    experiment = self._read(path)
                    self.experiments[name] = replace(experiment, command=self._command(given, base))
        with collector:
            if not named:
                raise InputError("experiments: none named", "for example --config experiments=[demo_sequences]")
        collector.finish()
        self.contents.keep()

    def _read(self, path: str) -> Experiment:
        experiment = load(path, self.data_root)
        given = {str(file): key for key, file in experiment.files.items() if not _under_results(file)}
        contents = {file: self.contents.of(file, table=key == "data.table") for file, key in given.items()}
        experiment = replace(experiment, contents=contents)
        collector = Collector()
        settings = experiment.settings
        if any(isinstance(names, list) for names in (settings.split.val, settings.split.test, settings.scan.contigs)):
            from biocnn.io.quick_contigs import absent_contigs  # takes a moment to import

            encoded = {file: RESULTS / "genomes" / _key(experiment, file) for file in experiment.files.values()}
            with collector:
                collector.faults += absent_contigs(settings, encoded)
        collector.finish(f"{path}: ")
        return experiment

    def _command(self, given: str, base: Path) -> str:
        """What runs one experiment as this invocation does."""
        values = {"experiments": [given], "data_root": self.data_root, "gpus": self.gpus}
        usual = {"data_root": ".", "gpus": 0}
        words = [f"{key}={flow(value)}" for key, value in values.items() if value != usual.get(key)]
        where = [] if base.resolve() == Path.cwd() else ["--snakefile", str(base / "Snakefile")]
        return shlex.join(["snakemake", *where, "--cores", "all", "--config", *words])

    def freeze(self) -> None:
        """As a run starts: write the copies that its jobs read, and get to know the files that they read."""
        if self.begins:
            for name, experiment in self.experiments.items():
                experiment.freeze(_frozen(name))
            self.contents.settle()

    def config_of(self, wildcards: Any) -> str:
        """The frozen copy of the experiment."""
        return str(_frozen(wildcards.experiment))

    def made(self, *sections: str) -> Callable[[Any], list[str]]:
        """An input function: what other rules make of the files that sections name; other files count by contents."""

        def found(wildcards: Any) -> list[str]:
            files = self.experiments[wildcards.experiment].files
            return sorted({_made(path) for key, path in files.items() if key.split(".")[0] in sections} - {""})

        return found

    def genome(self, wildcards: Any) -> list[str]:
        """The encoded genome, shared by all experiments on the same FASTA file."""
        wanted = "data.genome" in self.experiments[wildcards.experiment].files
        return [self._encoded(wildcards, "data")] if wanted else []

    def variants_genome(self, wildcards: Any) -> str:
        """The encoded genome that the variants refer to."""
        return self._encoded(wildcards, "variants")

    def scanned_genome(self, wildcards: Any) -> str:
        """The encoded genome that is scanned."""
        return self._encoded(wildcards, "scan")

    def genome_option(self, wildcards: Any) -> list[str]:
        """``--genome FOLDER`` for experiments that read one."""
        return [f"--genome={folder}" for folder in self.genome(wildcards)]

    def file(self, key: str) -> Callable[[Any, Any], str]:
        """A function that gives the path of a file as a step is to read it.

        It asks for ``input`` because Snakemake leaves out what is derived from that when it compares parameters: a
        file that was moved is the same one.
        """
        return lambda wildcards, input: _argument(self.experiments[wildcards.experiment].files[key])

    def fasta(self, wildcards: Any, input: Any) -> str:
        """The FASTA file behind an encoded genome; likewise."""
        return _argument(self._fasta(wildcards)[1])

    def made_fasta(self, wildcards: Any) -> list[str]:
        """The same, where a rule makes it."""
        return sorted({_made(self._fasta(wildcards)[1])} - {""})

    def fasta_contents(self, wildcards: Any) -> str:
        """What it holds."""
        experiment, path = self._fasta(wildcards)
        return experiment.contents.get(str(path), str(path))

    def runs(self, wildcards: Any) -> list[str]:
        """Names of the trainings of an experiment."""
        seeds = self._settings(wildcards).train.seeds
        return [f"{fold}-seed{seed}" for fold in self._folds(wildcards) for seed in seeds]

    def of_runs(self, pattern: str) -> Callable[[Any], list[str]]:
        """An input function: ``pattern`` with {experiment} and each {run} filled in."""
        return lambda wildcards: [
            pattern.format(experiment=wildcards.experiment, run=run) for run in self.runs(wildcards)
        ]

    def threads(self, wildcards: Any) -> int:
        """Of torch."""
        return self._settings(wildcards).train.threads

    def code(self, step: str, *sections: str) -> Callable[[Any], str]:
        """A function that gives a word for the code of a step, classes that these sections name included."""

        def word(wildcards: Any) -> str:
            settings = self._settings(wildcards) if sections else None
            return code_of_step(step, settings, sections) if self.begins else ""

        return word

    def depends(self, *sections: str, leave: tuple[str, ...] = ()) -> Callable[[Any], str]:
        """What a rule depends on: these sections' values, and nothing else of the file."""
        return lambda wildcards: self.experiments[wildcards.experiment].only(*sections, leave=leave)

    def uncertainties(self, wildcards: Any) -> list[str]:
        """Outputs of the uncertainty step, for images unless the experiment says otherwise."""
        settings = self._settings(wildcards)
        wanted, own = settings.uncertainty.methods, input_of(settings.data.name)
        found = bool(own and own.unsure) if wanted is None else bool(wanted)
        return [f"{RESULTS}/{wildcards.experiment}/uncertainty"] if found else []

    def segments(self, wildcards: Any) -> list[str]:
        """Outputs of the segment step, for experiments with new images."""
        wanted = "segment.images" in self.experiments[wildcards.experiment].files
        return [f"{RESULTS}/{wildcards.experiment}/segment"] if wanted else []

    def _settings(self, wildcards: Any) -> Settings:
        return self.experiments[wildcards.experiment].settings

    def _folds(self, wildcards: Any) -> list[str]:
        return [f"fold{i}" for i in range(self._settings(wildcards).split.folds or 1)]

    def variants(self, wildcards: Any) -> list[str]:
        """Outputs of the variants step, for experiments with variants."""
        wanted = "variants.vcf" in self.experiments[wildcards.experiment].files
        return [f"{RESULTS}/{wildcards.experiment}/variants"] if wanted else []

    def scans(self, wildcards: Any) -> list[str]:
        """Outputs of the scan step, for experiments with contigs to scan."""
        wanted = self._settings(wildcards).scan.contigs
        return [f"{RESULTS}/{wildcards.experiment}/scan"] if wanted else []

    def _fasta(self, wildcards: Any) -> tuple[Experiment, Path]:
        """An experiment with the genome, and the file."""
        keys = ("data.genome", "variants.genome", "scan.genome")
        every = (
            (e, e.files[key]) for name in self.names for e in [self.experiments[name]] for key in keys & e.files.keys()
        )
        return next((experiment, path) for experiment, path in every if _key(experiment, path) == wildcards.genome)

    def _encoded(self, wildcards: Any, section: str) -> str:
        experiment = self.experiments[wildcards.experiment]
        path = experiment.files.get(f"{section}.genome") or experiment.files["data.genome"]
        return f"{RESULTS}/genomes/{_key(experiment, path)}"

    def trials(self, wildcards: Any) -> list[str]:
        """Outputs of all trials of a fold: the settings of the file and those drawn, each on every inner fold."""
        section = self._settings(wildcards).calibrate
        folder = f"{RESULTS}/{wildcards.experiment}/calibrate/{wildcards.fold}"
        numbers = product(range(section.trials + 1), range(section.folds))
        return [f"{folder}/trial{trial}-part{part}.json" for trial, part in numbers]

    def calibrations(self, wildcards: Any) -> list[str]:
        """Tables of the trials, one a fold, where the experiment asks for any."""
        folder = f"{RESULTS}/{wildcards.experiment}/calibrate"
        return [f"{folder}/{fold}/trials.tsv" for fold in self._folds(wildcards) if self._calibrated(wildcards)]

    def best_settings(self, wildcards: Any) -> list[str]:
        """The settings that the trials chose for the fold of a run."""
        fold = wildcards.run.split("-")[0]
        file = f"{RESULTS}/{wildcards.experiment}/calibrate/{fold}/best.json"
        return [file] if self._calibrated(wildcards) else []

    def settings_option(self, wildcards: Any) -> list[str]:
        """``--settings FILE`` for runs whose settings were chosen by trials."""
        return [f"--settings={file}" for file in self.best_settings(wildcards)]

    def _calibrated(self, wildcards: Any) -> bool:
        return self._settings(wildcards).calibrate.trials > 0


def _under_results(path: Path) -> bool:
    return path.parts[:1] == RESULTS.parts


def _made(path: Path) -> str:
    """What a rule makes where a file is under results: of simulated data, the folder; "" for other files."""
    if not _under_results(path):
        return ""
    return str(DEMO / path.parts[2]) if path.parts[:2] == DEMO.parts else str(path)


def _key(experiment: Experiment, fasta: Path) -> str:
    """The name of an encoded genome: experiments whose FASTA files hold the same share it."""
    word = re.sub(r"[^A-Za-z0-9_-]", "_", fasta.name.split(".")[0])[:40]
    return f"{word}-{hashlib.sha1(experiment.contents.get(str(fasta), str(fasta)).encode()).hexdigest()[:8]}"


def _frozen(name: str) -> Path:
    return RESULTS / name / "experiment.json"


def _yaml_of(given: str, base: Path) -> str:
    """The file of an experiment that is named by path, or by its name under config/experiments."""
    path = given if given.endswith((".yaml", ".yml")) else f"config/experiments/{given}.yaml"
    path = str(Path(path).expanduser()) if path.startswith("~") else path
    return path if Path(path).exists() or not (base / path).exists() else str(base / path)


def _gpus(given: Any) -> int:
    number = str(given)
    if isinstance(given, bool) or not re.fullmatch("[0-9]{1,4}", number):
        raise InputError(f"gpus: must be a whole number >= 0 (given: {number!r})", "for example --config gpus=1")
    return int(number)


def _argument(path: Path) -> str:
    """A path that is not taken for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def open_workflow(config: dict[str, Any], base: str, begins: bool) -> Workflow:
    """Load the experiments; faults end Snakemake with status 2 and messages, its last lines, not a traceback."""
    try:
        return Workflow(config, Path(base), begins)
    except InputError as error:
        faults = error.faults if isinstance(error, Faults) else [error]
        if len(faults) > 1:
            print(f"biocnn: {len(faults)} faults; nothing was run", file=sys.stderr)
        for fault in faults:
            print(f"biocnn: {fault}", file=sys.stderr)
        sys.exit(2)


def headlines(names: list[str], tsv: str | Path, page: str | Path) -> str:
    """Headline metrics of experiments and where to read more, for the end of a run; "" where parts alone were made."""
    if not Path(tsv).exists():
        return ""
    header, *rows = (line.split("\t") for line in Path(tsv).read_text(encoding="utf-8").rstrip("\n").split("\n"))
    lines = []
    for row in rows:
        if row[0] not in names:  # of an earlier run
            continue
        named = {key: value for key, value in zip(header, row, strict=True) if value}
        numbers = [key for key in named if f"{key}_low" in header]
        found = [f"{key} {float(named[key]):.3f}" for key in numbers]
        if "target_name" in named:
            found.append(f"motif like {named['target_name']} (p = {float(named['p_value']):.0e})")
        lines.append(f"{named['experiment']}: {', '.join(found)}")
    return "\n".join(["", *lines, f"Reports: {page}"])


def memory_advice(logs: Iterable[str]) -> str:
    """What to do where a job was killed for want of memory; "" where Snakemake's logs tell of none.

    SLURM's plugin for Snakemake calls such a job failed, without a reason; the job's own log, which it names, has it.
    """
    texts = [_text(path) for path in logs]
    jobs = {path for text in texts for path in re.findall(r"(?:log: |, )([^,\n]*/slurm_logs/[^,\n]*?\.log)", text)}
    told = [(found[0].strip(), text) for text in [*texts, *map(_text, jobs)] if (found := KILLED.search(text))]
    if not told:
        return ""
    rules = dict.fromkeys(rule for _, text in told for rule in re.findall(r"Error in rule (\w+)", text))
    return (
        f"biocnn: a job was killed, most likely for want of memory: {told[0][0]}\n"
        f"  on a cluster, give it more: --set-resources {' '.join(f'{rule}:mem_mb=16000' for rule in rules)}\n"
        "  on this machine, run fewer jobs at once (--cores), or have training take less (train.memory_gb)"
    )


def _text(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace")
    return ""
