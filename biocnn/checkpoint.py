"""Model files: weights, and all that is needed to use them; nothing in a file is ever executed."""

import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from biocnn.errors import InputError
from biocnn.files import atomic
from biocnn.layers import channels_beside
from biocnn.registry import find
from biocnn.schema import build

FORMAT = "1"


def build_model(section: dict[str, Any], facts: dict[str, Any]) -> nn.Module:
    """The network that a model section names, sized for the data.

    Raises
    ------
    InputError
        Where the name stands for anything but a network (nothing else is called, for the name may come from a file), or
        the network cannot be made with these settings.
    """
    found = find("models", section["name"])
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise InputError(f"model.name: {section['name']!r} is no torch.nn.Module", "name a class derived from it")
    if section.get("channels", ()) is None and "channels" in facts.get("decisions", {}):
        section = {**section, "channels": facts["decisions"]["channels"]["value"]}
    settings = ", ".join(f"{key}: {value}" for key, value in section.items())
    try:
        model = build("models", section, facts["spatial_dims"], facts["in_channels"], facts["out_channels"])
    except (RuntimeError, ValueError) as error:
        raise InputError(f"model: cannot be made: {error}", f"check its settings ({settings})") from error
    if any(parameter.numel() == 0 for parameter in model.parameters()):
        raise InputError("model: has layers without weights", f"give widths above 0 ({settings})")
    return channels_beside(model)


def save_model(path: str | Path, model: nn.Module, meta: dict[str, Any]) -> None:
    """Write weights and metadata, whole or not at all.

    Parameters
    ----------
    path
        A ``.safetensors`` file.
    model
        Its weights are stored as float32 on the CPU.
    meta
        At least ``experiment`` (resolved settings) and ``facts``; plain JSON values.
    """
    # Copies, because a file cannot hold the weights of layers that share them.
    weights = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    header = {key: json.dumps(value) for key, value in {"format": FORMAT, **meta}.items()}
    with atomic(path) as temporary:
        temporary.write_bytes(_in_order(save(weights, metadata=header)))


def _in_order(content: bytes) -> bytes:
    """The same file with a sorted header: safetensors writes metadata in random order, and equal models differ."""
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # weights start at a multiple of 8 bytes
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def read_meta(path: str | Path) -> dict[str, Any]:
    """What a model file says of itself, without its weights; errors as in ``load_model``."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such model file", "train one: snakemake --cores all")
    try:
        with safe_open(path, "pt") as handle:
            header = handle.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: damaged model file ({error})", "copy it again, or train again") from error
    if "facts" not in header or "experiment" not in header:
        raise InputError(f"{path}: not a model file of biocnn", "give model.safetensors of a run")
    if header.get("format") != json.dumps(FORMAT):
        found = header.get("format", "none")
        raise InputError(
            f"{path}: model format {found}, but this biocnn reads {FORMAT}", "train again with this version"
        )
    try:
        return {key: json.loads(value) for key, value in header.items()}
    except ValueError as error:
        raise InputError(f"{path}: damaged model file ({error})", "copy it again, or train again") from error


def load_model(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild a network from its file, in evaluation mode, on the CPU.

    Returns
    -------
    model, meta
        ``meta`` holds experiment, facts, postprocess, metrics, versions.

    Raises
    ------
    InputError
        For a missing or damaged file, one of another format, or weights that do not fit the network.
    """
    meta = read_meta(path)
    try:
        model = build_model(meta["experiment"]["model"], meta["facts"])
        model.load_state_dict(load_file(path))
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.remedy) from error
    except (RuntimeError, TypeError) as error:
        reason, written = str(error).splitlines()[-1].strip(), meta.get("versions", {}).get("biocnn", "?")
        raise InputError(
            f"{path}: the weights do not fit {meta['experiment']['model']['name']}: {reason}",
            f"the file was written by biocnn {written}: use that version, or train again",
        ) from error
    return model.eval(), meta


def versions() -> dict[str, str]:
    """Versions of what shapes a result, and the commit where the code lies in a git checkout."""
    found = {name: version(name) for name in ("biocnn", "torch", "numpy", "pandas", "scikit-image", "snakemake")}
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        commit = ""
    return {**found, "python": platform.python_version(), "commit": commit or "unknown"}
