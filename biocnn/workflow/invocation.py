"""The experiments of one invocation of the workflow: read when it begins, and frozen for its jobs."""

import hashlib
import os
import re
import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from biocnn.config.experiment import Experiment, load, read_frozen
from biocnn.config.sheet import SHEETS, read_sheet
from biocnn.core.errors import Collector, InputError, nearest
from biocnn.core.files import read_json, write_json
from biocnn.workflow.contents import Contents
from biocnn.workflow.launch import OPTIONS
from biocnn.workflow.naming import check_name, flow

RESULTS = Path("results")
GENOMES = RESULTS / "genomes"
FROZEN = RESULTS / "invocation.json"  # shared by the jobs of an invocation
FASTAS = ("data.genome", "variants.genome", "scan.genome")
CONFIG = ("experiments", "data_root", "gpus")


class _Frozen(dict[str, Experiment]):
    """Experiments by name, each read from its frozen copy on first access: a job reads no other."""

    def __missing__(self, name: str) -> Experiment:
        self[name] = read_frozen(frozen_copy(name))
        return self[name]


class Invocation:
    """The experiments of one invocation, read once; its jobs read frozen copies in the folders of results.

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
        """Check the name and the contigs of an experiment, and add it; ``where`` names its own file, if any."""
        name, settings = experiment.name, experiment.settings
        check_name(name, experiment.source if where else "")
        if name in self.names:
            raise InputError(f"experiments: duplicate name {name!r}", "rename one of them")
        self.names.append(name)
        files = {str(file): key for key, file in experiment.files.items() if not under_results(file)}
        contents = {file: self.contents.of(file, table=key == "data.table") for file, key in files.items()}
        command = self._command(given, base, *([] if where else [report_of(name)]))
        experiment = self.experiments[name] = replace(experiment, contents=contents, command=command)
        encoded = {file: genome_name(contents, file) for key, file in experiment.files.items() if key in FASTAS}
        self.fastas |= {key: [str(file), contents.get(str(file), str(file))] for file, key in encoded.items()}
        if any(isinstance(names, list) for names in (settings.split.val, settings.split.test, settings.scan.contigs)):
            from biocnn.io.quick_contigs import absent_contigs  # slow to import

            collector = Collector()
            collector.faults += absent_contigs(settings, {file: GENOMES / key for file, key in encoded.items()})
            collector.finish(where)

    def _command(self, given: str, base: Path, *targets: str) -> str:
        """Return the command that runs one experiment as this invocation does; ``targets`` are files to make."""
        if OPTIONS in os.environ:
            words = ["biocnn", "run", given, *shlex.split(os.environ[OPTIONS])]
            return shlex.join([*words, *["--"] * (bool(targets) and "--" not in words), *targets])
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
                experiment.freeze(frozen_copy(name))
            self.contents.settle()


def under_results(path: Path) -> bool:
    """Return whether rules make a file."""
    return path.parts[:1] == RESULTS.parts


def genome_name(contents: dict[str, str], fasta: Path) -> str:
    """Return the name of an encoded genome, shared by experiments whose FASTA files have the same content."""
    word = re.sub(r"[^A-Za-z0-9_-]", "_", fasta.name.split(".")[0])[:40]
    return f"{word}-{hashlib.sha1(contents.get(str(fasta), str(fasta)).encode()).hexdigest()[:8]}"


def report_of(name: str) -> str:
    """Return the path of the report on an experiment."""
    return f"{RESULTS}/{name}/report.html"


def frozen_copy(name: str) -> Path:
    """Return the path of the frozen copy of an experiment."""
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
