"""Experiments: one YAML file, one typed object, and the frozen copy that the jobs of a run read.

Every error names the dotted key and the remedy.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from biocnn.config.agreement import disagreements
from biocnn.config.candidates import AUTO, candidates_for
from biocnn.config.experiment_file import read_yaml
from biocnn.config.experiment_paths import paths_of, resolve_paths
from biocnn.config.registry import AUGMENT_SETS, REGISTRY, input_of
from biocnn.config.schema import Chosen, check, choose, example
from biocnn.config.search_space import resolve_draws
from biocnn.config.settings import SEEDS, Settings
from biocnn.config.strands import RNA, check_strands
from biocnn.core.errors import Collector, InputError, close, nearest
from biocnn.core.files import write_json
from biocnn.core.wording import given as as_given
from biocnn.core.wording import shown

NAMING = {"data": "data", "model": "models"}
NEEDED = {"scan": ("contigs", "`all` or names of contigs"), "variants": ("vcf", "a VCF file")}  # else, nothing is done
KEYS = tuple(Settings.model_fields)
LEFT_TO_DATA = ("epochs", "batch_size")  # settings of the section train that are decided from the data by default


@dataclass(frozen=True)
class Experiment:
    """A validated experiment.

    Parameters
    ----------
    name
        Name of its folder in ``results/``.
    settings
        Settings with all defaults filled in and all paths resolved.
    source, data_root
        Path of the YAML file; folder that relative paths start at.
    command
        Command that repeats the run, to be typed in the folder of the run; "" without a workflow.
    contents
        Digests of the content of files by resolved path: see ``biocnn.workflow.contents``.
    """

    name: str
    settings: Settings
    source: str = ""
    data_root: str = "."
    command: str = ""
    contents: dict[str, str] = field(default_factory=dict)

    @cached_property
    def files(self) -> dict[str, Path]:
        """Return the resolved paths by dotted key."""
        return paths_of(self.settings)

    @property
    def digest(self) -> str:
        """Return twelve hexadecimal digits that identify all settings."""
        return _digest(self.settings.model_dump(mode="json"))

    def only(self, *sections: str, leave: tuple[str, ...] = ()) -> str:
        """Return canonical JSON of the sections that a rule depends on; digests of content replace paths of files."""
        kept = self.settings.model_dump(mode="json", include={*sections})
        for key in leave:
            section, _, entry = key.partition(".")
            del kept[section][entry]
        return json.dumps(replaced(kept, self.contents), sort_keys=True)

    def freeze(self, path: Path) -> None:
        """Write the frozen copy unless the file already holds it."""
        settings = self.settings.model_dump(mode="json")
        found = {"digest": _digest(settings), "name": self.name, "settings": settings}
        found |= {key: getattr(self, key) for key in ("files", "source", "data_root", "command", "contents")}
        write_json(found, path)


def _digest(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def replaced(value: Any, words: dict[str, str]) -> Any:
    """Return JSON values in which ``words`` replaces strings."""
    if isinstance(value, dict):
        return {key: replaced(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner, words) for inner in value]
    return words.get(value, value) if isinstance(value, str) else value


def read_frozen(path: Path) -> Experiment:
    """Read an experiment that ``Experiment.freeze`` wrote.

    Raises
    ------
    InputError
        If there is no such file, or its settings were changed.
    """
    remedy = "edit the experiment's YAML file instead and run snakemake, which writes this file"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        digest, given, _ = (found.pop(key) for key in ("digest", "settings", "files"))
        changed = digest != _digest(given)
        experiment = None if changed else Experiment(settings=_reread(given), **found)
    except FileNotFoundError as error:
        start = "snakemake writes it when a run starts; if biocnn is a module of your workflow, see docs/running.md"
        raise InputError(f"{path}: no such file", start) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, InputError) as error:
        raise InputError(f"{path}: damaged ({error})", remedy) from error
    if experiment is None:
        raise InputError(f"{path}: edited by hand: its settings do not match the digest {digest}", remedy)
    return experiment


def _reread(given: dict[str, Any]) -> Settings:
    collector = Collector()
    found = _sections(given, collector)
    collector.finish()
    return Settings(**found)


def load(path: str | Path, data_root: str | Path = ".") -> Experiment:
    """Read and check one experiment.

    Parameters
    ----------
    path
        YAML file, whose stem names the experiment; or the frozen copy that the workflow passes to its jobs.
    data_root
        Folder that relative paths start at, except for paths in ``results/``, which the workflow makes.

    Raises
    ------
    InputError
        If the file is missing, a key is unknown or a type is wrong; names the dotted key and the nearest allowed word.
    """
    path, root = Path(path), Path(data_root).expanduser()
    if path.suffix == ".json":
        return read_frozen(path)
    collector = Collector()
    with collector:
        settings = settings_of(read_yaml(path), root)
    collector.finish(f"{path}: ")
    return Experiment(path.stem, settings, str(path), str(root))


def settings_of(given: dict[str, Any], root: Path = Path(), *, stored: bool = False) -> Settings:
    """Check the content of an experiment's file, and fill in all defaults.

    Parameters
    ----------
    given
        Sections by name, as in the file.
    root
        Folder that relative paths start at.
    stored
        Whether the data set is stored already, so that the files in the section data need not exist.

    Raises
    ------
    InputError
        As in ``load``.
    """
    collector, found = Collector(), {}
    with collector:
        sections = _sections(given, collector)
        kept = {"data": sections["data"]} if stored and "data" in sections else {}
        found = resolve_paths({k: v for k, v in sections.items() if k not in kept}, root, collector) | kept
    # Placeholders replace faulty sections, so that the others can still be compared.
    settings = Settings.model_construct(**({"data": Chosen(name=""), "model": Chosen(name="")} | found))
    collector.faults += disagreements(settings)
    if not collector.faults:
        with collector:
            settings = resolve_draws(settings)
        with collector:  # an alphabet that is not given is checked once the data are read
            check_strands(settings, RNA if getattr(settings.data, "alphabet", None) == "RNA" else None)
    collector.finish()
    return settings


def _sections(given: dict[str, Any], collector: Collector) -> dict[str, Any]:
    """Return the valid sections with all defaults; the faults of the others go to the collector."""
    found: dict[str, Any] = {}
    for key in given:
        with collector:
            if key not in KEYS:
                raise InputError(f"{key}: unknown key", nearest(key, KEYS))
    misspelt = {hit for key in given if key not in KEYS for hit in close(key, KEYS)}
    for key in [key for key in KEYS if key in given or key not in misspelt]:
        with collector:
            found[key] = _section(given, key)
    return found


def _section(given: dict[str, Any], key: str) -> Any:
    value, data = given.get(key), given.get("data")
    data = data.get("name") if isinstance(data, dict) else data
    own = input_of(data) if isinstance(data, str) else None
    if key == "seed":
        seed = given.get("seed", 1)
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < SEEDS:
            message = f"seed: must be a whole number from 0 to {SEEDS - 1} (given: {as_given(seed)})"
            raise InputError(message, "for example seed: 1")
        return seed
    if key == "model" and _auto(given):
        if own is None and ":" not in str(data):  # the fault is that of the section data
            return Chosen(name="")
        return choose("models", candidates_for(str(data))[0]["model"], key)
    if key == "model" and value in (None, {}):
        raise InputError(f"model: names no network (given: {as_given(value)})", "leave it out, or write model: auto")
    name = value.get("name") if isinstance(value, dict) else value
    if key == "model" and close(str(name), [*REGISTRY["models"], AUTO]) == [AUTO]:
        raise InputError(
            f"model: {shown(value)} is not known",
            f"did you mean model: auto (without settings)? or name a network: {example('models')}, ...",
        )
    if key in NAMING:
        if key not in given:
            raise InputError(f"{key}: is missing", f"add a section {key}: {{name: {example(NAMING[key])}}}")
        return choose(NAMING[key], value, key)
    if key == "loss":
        return None if value is None else choose("losses", value, "loss")
    if key == "augment":
        return _augment(value, own)
    if key == "train" and own and isinstance(value, dict | None):
        value = dict.fromkeys(LEFT_TO_DATA) | (value or {})
    if key == "calibrate" and own and _auto(given) and isinstance(value, dict | None):
        value = _candidates(str(data), given.get("train")) | {k: v for k, v in (value or {}).items() if v is not None}
    schema = type(Settings.model_fields[key].default)
    found = check(schema, {} if value is None else value, key)
    if key in NEEDED and value is not None and NEEDED[key][0] not in value:
        wanted, allowed = NEEDED[key]
        raise InputError(f"{key}.{wanted}: is missing", f"set it to {allowed}, or leave out the section {key}")
    return found


def _auto(given: dict[str, Any]) -> bool:
    """Return whether an experiment leaves the network to the data."""
    return given.get("model", AUTO) in (AUTO, {"name": AUTO})


def _candidates(data: str, train: Any) -> dict[str, Any]:
    """Return the default of the section calibrate; what the section train sets is not changed."""
    given = [f"train.{key}" for key in train] if isinstance(train, dict) else []
    found = [{key: v for key, v in one.items() if key not in given} for one in candidates_for(data)]
    return {"candidates": found} if found[1:] else {}


def _augment(given: Any, own: Any) -> list[Chosen] | str:
    """Return a list, or the name of a set that depends on the data; if left out, the default of the input."""
    words = own.augment if own else AUGMENT_SETS
    given = (own.augment[0] if own else "none") if given is None else given
    given = [] if given == "none" else given
    if isinstance(given, list):
        collector, found = Collector(), []
        for i, item in enumerate(given):
            with collector:
                found.append(choose("augment", item, f"augment.{i}"))
        collector.finish()
        return found
    if isinstance(given, str) and given in words:
        return given
    some = own.augment_list if own else f"[{example('augment')}]"
    message = f"augment: must be a list or the name of a set (given: {as_given(given)})"
    raise InputError(message, f"{nearest(str(given), words)}; for example augment: {some}")
