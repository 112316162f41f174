"""RO-Crate metadata, by which repositories such as WorkflowHub and Zenodo know what a folder of results contains."""

import mimetypes
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from biocnn import __version__
from biocnn.core.files import write_json
from biocnn.workflow.manifest import input_path

CRATE = "ro-crate-metadata.json"
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
PROFILE, PROFILE_VERSION = "https://w3id.org/ro/wfrun/process/0.5", "0.5"
OWN = {"experiment.json": "all settings", "manifest.json": "hashes of inputs, outputs and code, and the environment"}


def write_crate(manifest: dict[str, Any], folder: Path) -> None:
    """Write the metadata of a Process Run Crate, of the Workflow Run RO-Crate profiles, into a folder of results.

    Parameters
    ----------
    manifest
        Manifest of the experiment.
    folder
        Its folder in ``results/``.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    name, environment = manifest["experiment"], manifest["environment"]
    inputs = [_file(uri, sha, key) for key, given in manifest["inputs"].items() for uri, sha in _uris(given)]
    outputs = [_file(quote(path), sha) for path, sha in manifest["outputs"].items()]
    own = [_file(path, description=text) for path, text in OWN.items()]
    root = {
        "@id": "./", "@type": "Dataset", "name": name, "datePublished": now,
        "description": f"Data, networks, predictions and report of the experiment {name}, made by biocnn {__version__}",
        "license": "not stated: whoever publishes these results decides how they may be used",
        "conformsTo": {"@id": PROFILE},
        "hasPart": _references([*own, *inputs, *outputs]),
        "mentions": {"@id": "#run"},
    }  # fmt: skip
    action = {
        "@id": "#run", "@type": "CreateAction", "name": f"run of the experiment {name}", "endTime": now,
        "description": manifest["command"] or f"biocnn run {name}.yaml",
        "instrument": {"@id": "#biocnn"},
        "object": _references([own[0], *inputs]),
        "result": _references(outputs),
    }  # fmt: skip
    software = {
        "@id": "#biocnn", "@type": "SoftwareApplication", "name": "biocnn", "softwareVersion": __version__,
        "softwareRequirements": [f"{package} {found}" for package, found in environment.items() if package != "gpus"],
    }  # fmt: skip
    profile = {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": PROFILE_VERSION}
    itself = {
        "@id": CRATE, "@type": "CreativeWork", "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    }  # fmt: skip
    graph = [itself, root, action, software, profile, *own, *inputs, *outputs]
    write_json(
        {"@context": CONTEXT, "@graph": list({entity["@id"]: entity for entity in graph}.values())}, folder / CRATE
    )


def _uris(given: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the absolute URI and the hash of each file of an input, which is outside the folder of results."""
    return [(input_path(given, name).absolute().as_uri(), sha) for name, sha in given["sha256"].items()]


def _file(identifier: str, sha: str = "", description: str = "") -> dict[str, Any]:
    kind = mimetypes.guess_type(identifier)[0] or "application/octet-stream"
    found = {"@type": "File", "name": unquote(identifier.rpartition("/")[2]), "sha256": sha, "description": description}
    return {"@id": identifier, **{key: text for key, text in (found | {"encodingFormat": kind}).items() if text}}


def _references(entities: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"@id": identifier} for identifier in dict.fromkeys(entity["@id"] for entity in entities)]
