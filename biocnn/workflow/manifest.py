"""Manifests: what an experiment was made from and what it made, by hashes, to verify it or to run it again."""

import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from biocnn.config.code_digests import PACKAGE
from biocnn.config.experiment import Experiment, replaced
from biocnn.config.search_space import own_modules
from biocnn.config.signatures import source_of
from biocnn.core.errors import InputError
from biocnn.core.files import read_json, sha256, write_json
from biocnn.core.machine import processor
from biocnn.workflow.contents import files_of
from biocnn.workflow.invocation import under_results

NAME = "manifest.json"
STEPS = {  # patterns of the files that each step writes, in the order of the steps
    "check": r"raw/|checks\.tsv$|doctor/",
    "dataset": r"dataset/",
    "calibrate": r"calibrate/fold\d+/(trials\.tsv|[^/]+\.json)$",
    "train": r"runs/[^/]+/(model\.safetensors|history\.tsv)$",
    "predict": r"runs/[^/]+/predictions/",
    "baselines": r"baselines/",
    "evaluate": r"(metrics|metrics_per_example|audit|matches|errors)\.tsv$|decided\.npz$",
    "curve": r"learning_curve\.tsv$",
    "negatives": r"negatives\.tsv$",
    "explain": r"explain/",
    "features": r"runs/[^/]+/features/",
    "uncertainty": r"uncertainty/",
    "apply": r"apply/",
    "variants": r"variants/",
    "scan": r"scan/",
    "report": r"report\.html$|figures/",
}
LOCATED = ("raw/facts.json", "dataset/facts.json", "dataset/settings.json")  # these contain paths of inputs
# These contain dates, times, paths of raw files or places in a file with paths, which differ in a rerun.
TIMED = r"report\.html$|variants/.*\.(tbi|csi)$|raw/raw\.json$|calibrate/[^/]+/(trials\.tsv|trial[^/]*\.json)$"


def write_manifest(experiment: Experiment, folder: Path, path: Path) -> None:
    """Write the manifest of an experiment.

    Parameters
    ----------
    experiment
        The experiment.
    folder
        Its folder in ``results/``, with the outputs of all steps.
    path
        File to write.
    """
    settings, outputs = experiment.settings, outputs_of(folder)
    found = {
        "experiment": experiment.name,
        "settings": settings.model_dump(mode="json"),
        "seeds": {"seed": settings.seed, "train.seeds": settings.train.seeds},
        "reproducible": "repeatable" if settings.train.deterministic else "no: train.deterministic is false",
        **{key: getattr(experiment, key) for key in ("source", "data_root", "command")},
        "inputs": {key: {"path": str(file), "sha256": _of_input(key, file)} for key, file in experiment.files.items()},
        "code": _code(own_modules(settings)),
        "environment": _environment(),
        "outputs": outputs,
        # Hashes of the reproducible part of files that also contain times, versions or paths of inputs.
        "reproduced": {name: text for name in outputs if (text := _reproduced(folder, name, experiment.files))},
    }
    write_json(found, path)


def read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of an experiment.

    Raises
    ------
    InputError
        If the file is missing or damaged, or is not a manifest.
    """
    found = read_json(path)
    parts = ("settings", "inputs", "code", "environment", "outputs", "reproduced")
    words = ("experiment", "data_root")
    if not (
        all(isinstance(found.get(part), dict) for part in parts)
        and all(isinstance(found.get(word), str) for word in words)
    ):
        raise InputError(
            f"{path}: is not a manifest", "for example results/reb1/manifest.json; the report step writes it"
        )
    return found


def relocated(found: dict[str, Any], data_root: Path | None) -> dict[str, Any]:
    """Return a manifest with the paths of inputs as they are now, if their folder was moved to ``data_root``."""
    if data_root is None:
        return found
    old, new = Path(found["data_root"]), Path(os.path.abspath(data_root))
    inputs = {
        key: {**given, "path": str(new / path.relative_to(old))}
        if (path := Path(given["path"])).is_relative_to(old) and not under_results(path)
        else given
        for key, given in found["inputs"].items()
    }
    return {**found, "inputs": inputs}


def verified(folder: Path, root: Path, data_root: Path | None = None) -> list[str]:
    """Return what differs from the manifest of an experiment: settings, inputs and outputs.

    Parameters
    ----------
    folder
        Its folder in ``results/``.
    root
        Folder that relative paths of inputs start at.
    data_root
        As in ``relocated``.
    """
    found = relocated(read_manifest(folder / NAME), data_root)
    frozen = read_json(folder / "experiment.json")["settings"]
    lines = [] if frozen == found["settings"] else ["experiment.json: settings differ"]
    outputs = differences(found["outputs"], outputs_of(folder))
    return [*lines, *changed_inputs(found, root), *(f"{step_of(name)}: {name} is {state}" for name, state in outputs)]


def changed_inputs(found: dict[str, Any], root: Path) -> list[str]:
    """Return which inputs of a manifest are absent, new or changed."""
    lines = []
    for key, given in found["inputs"].items():
        if not (path := root / given["path"]).exists():
            lines.append(f"{key}: {path} is absent")
            continue
        state = differences(given["sha256"], _of_input(key, path))
        lines += [f"{key}: {root / input_path(given, name)} is {words}" for name, words in state]
    return lines


def input_path(given: dict[str, Any], name: str) -> Path:
    """Return the path of a file of an input: of the input itself (name ""), or of a file that it names or contains."""
    path = Path(given["path"])
    return (path.parent if "" in given["sha256"] else path) / name if name else path


def input_digests(found: dict[str, Any]) -> dict[str, str]:
    """Return the start of the hash of each input of a manifest; of a folder, of all its hashes together."""
    texts = {key: given["sha256"] for key, given in found["inputs"].items()}
    return {
        key: (hashes[""] if list(hashes) == [""] else hashlib.sha256(json.dumps(hashes).encode()).hexdigest())[:12]
        for key, hashes in texts.items()
    }


def changed_surroundings(found: dict[str, Any]) -> list[str]:
    """Return how code, versions and processor differ from those of a manifest; such differences may change bits."""
    now = {"code": _code([name for name in found["code"] if not name.startswith("biocnn")])}
    now |= {"environment": _environment()}
    return [
        f"{part}: {name} is {now[part].get(name)}, was {value}" if part == "environment" else f"code: {name} differs"
        for part in now
        for name, value in found[part].items()
        if now[part].get(name) != value
    ]


def first_difference(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the first step whose outputs differ between two manifests, and these files; an empty step if none does."""
    both = old["reproduced"].keys() & new["reproduced"].keys()
    sides = [
        {
            name: found["reproduced"][name] if name in both else text
            for name, text in found["outputs"].items()
            if not re.match(TIMED, name)
        }
        for found in (old, new)
    ]
    found = list(differences(*sides))
    first = min((step_of(name) for name, _ in found), key=[*STEPS].index, default="")
    return first, [f"{name} is {state}" for name, state in found if step_of(name) == first]


def step_of(name: str) -> str:
    """Return the step that writes a file of an experiment; "" for others, such as logs and states of trainings."""
    return next((step for step, pattern in STEPS.items() if re.match(pattern, name)), "")


def outputs_of(folder: Path) -> dict[str, str]:
    """Return the hashes of the files that the steps of an experiment wrote, by name in its folder."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: sha256(folder / name) for name in sorted(names) if step_of(name) and "/." not in name}


def differences(old: dict[str, str], new: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the names with another hash, and whether they are changed, absent or new."""
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield name, "absent" if name not in new else "new" if name not in old else "changed"


def _of_input(key: str, path: Path) -> dict[str, str]:
    """Return the hashes of a file, under the name "", and of files that a table names; or of the files in a folder."""
    return {name: sha256(file) for name, file in files_of(str(path), table=key == "data.table")}


def _code(modules: list[str]) -> dict[str, str]:
    """Return the digests of the packages of biocnn, and of a user's own modules."""
    files = sorted(path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    texts: dict[str, list[str]] = {}
    for path in files:
        name = path.relative_to(PACKAGE)
        texts.setdefault("/".join(["biocnn", *name.parts[:-1][:1]]), []).append(f"{name} {sha256(path)}")
    found = {package: hashlib.sha256("\n".join(lines).encode()).hexdigest() for package, lines in texts.items()}
    return found | {module: sha256(source) for module in modules if (source := source_of(module))}


def _environment() -> dict[str, Any]:
    import torch

    from biocnn.training.checkpoint import versions

    name, instructions = processor()
    return {
        **versions(),
        "processor": name,
        "instructions": instructions,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def _reproduced(folder: Path, name: str, inputs: dict[str, Path]) -> str:
    """Return the hash of the part of a file that a rerun reproduces; "" if it reproduces all of it."""
    path = folder / name
    if path.name == "history.tsv":
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        kept = [i for i, title in enumerate(rows[0]) if title != "seconds"]
        return hashlib.sha256(json.dumps([[row[i] for i in kept] for row in rows]).encode()).hexdigest()
    if path.name == "model.safetensors":  # without the metadata at its start
        with open(path, "rb") as handle:
            handle.seek(int.from_bytes(handle.read(8), "little") + 8)
            return hashlib.file_digest(handle, "sha256").hexdigest()
    if path.name == "variants.vcf.gz":  # without the hashes of the model files, whose metadata contain paths
        with gzip.open(path, "rb") as handle:
            lines = [line for line in handle if not line.startswith(b"##biocnn_variantsCommand=")]
        return hashlib.sha256(b"".join(lines)).hexdigest()
    if name in LOCATED:
        found = replaced(read_json(path), {str(file): key for key, file in inputs.items()})
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()
    return ""
