"""Model files: weights and the metadata needed to use them; nothing in a file is ever executed."""

import json
import platform
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

import biocnn
from biocnn.config.registry import find, own_module, suited
from biocnn.config.schema import Chosen, build, choose
from biocnn.core.errors import InputError
from biocnn.core.files import atomic
from biocnn.data.decisions import fill_in
from biocnn.models.image_network import ImageNetwork
from biocnn.models.sequence_network import SequenceNetwork
from biocnn.nn.covariates import Joint
from biocnn.nn.layers import to_channels_last
from biocnn.nn.words import WordMixture, Words
from biocnn.tasks import make_task
from biocnn.tasks.facts import Facts
from biocnn.training.metadata import REMEDY, Metadata, read_metadata


def build_model(section: Chosen, facts: Facts) -> nn.Module:
    """Build the network that a model section names, sized for the data.

    Raises
    ------
    InputError
        If the name is not that of a network class (nothing else is called, because the name may come from a file), or
        the network cannot be built with these settings.
    """
    found = find("models", section.name)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise InputError(f"model.name: {section.name!r} is not a torch.nn.Module", "name a class derived from it")
    section = fill_in(section, facts.decisions)
    settings = ", ".join(f"{key}: {value}" for key, value in section.model_dump(mode="json").items())
    try:
        model = build("models", section, facts.spatial_dims, facts.in_channels, make_task(facts).computed)
    except (RuntimeError, ValueError, ArithmeticError) as error:
        raise InputError(f"model: cannot be built: {error}", f"check its settings ({settings})") from error
    if any(parameter.numel() == 0 for parameter in model.parameters()):
        raise InputError("model: has layers without weights", f"set widths above 0 ({settings})")
    return completed(to_channels_last(model), facts)


def completed(network: nn.Module, facts: Facts) -> nn.Module:
    """Return a network with what covariates and the task add to it, in place."""
    if number := sum(len(one.columns) for one in facts.coded):
        if not isinstance(network, ImageNetwork | SequenceNetwork):
            raise InputError(
                f"model: {type(network).__name__} cannot receive covariates",
                "networks that can: " + ", ".join(suited("models", facts.kind, "vector")),
            )
        network.head[-1] = Joint(network.head[-1], number)
    return make_task(facts).complete(network)


def with_words(network: nn.Module, meta: Metadata) -> nn.Module:
    """Return the mixture of a network and words that metadata describe, or the network itself; words are zero."""
    if not meta.words:
        return network
    words = Words(meta.facts.out_channels, meta.words.strands)
    return WordMixture(network, words, torch.tensor(meta.words.share))


def save_model(path: str | Path, model: nn.Module, meta: Metadata) -> None:
    """Write weights and metadata atomically.

    Parameters
    ----------
    path
        A ``.safetensors`` file.
    model
        Network; its weights are stored as CPU tensors.
    """
    # Copies, because safetensors rejects shared weights.
    weights = {key: value.detach().cpu().contiguous().clone() for key, value in model.state_dict().items()}
    with atomic(path) as temporary:
        temporary.write_bytes(_in_order(save(weights, metadata=meta.header())))


def _in_order(content: bytes) -> bytes:
    """Sort the header: safetensors writes metadata in random order, so that files of equal models would differ."""
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # aligns the weights to 8 bytes
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def load_model(path: str | Path, trust: Collection[str] = ()) -> tuple[nn.Module, Metadata]:
    """Load a network from its file, in evaluation mode, on the CPU.

    Parameters
    ----------
    trust
        Modules outside biocnn that may be imported, and thus executed, if the file names a network in one of them; a
        package includes its modules. The working folder is searched, too.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another format, its metadata are invalid, the module of its network is not
        trusted, or its weights do not fit the network. All but the last two are checked before the network is built,
        these before it takes more memory than the file has bytes.
    """
    meta = read_metadata(path)
    try:
        model = _build_matching(meta, _stored(path), trust)
        weights = load_file(path)
        if not all(value.isfinite().all() for value in weights.values()):
            raise InputError("damaged model file (weights that are NaN or infinite)", REMEDY)
        model.load_state_dict(weights)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.remedy) from error
    return model.eval(), meta


def _stored(path: str | Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return data type and shape of each tensor in a file, without reading the tensors."""
    with safe_open(path, "pt") as handle:
        tensors = {key: handle.get_slice(key) for key in handle.keys()}  # noqa: SIM118 (no mapping)
        return {key: (tensor.get_dtype(), tuple(tensor.get_shape())) for key, tensor in tensors.items()}


def _build_matching(
    meta: Metadata, stored: dict[str, tuple[str, tuple[int, ...]]], trust: Collection[str]
) -> nn.Module:
    """Build the network that a file describes, with initial weights of the stored types and shapes."""
    section, written = meta.experiment.model, meta.versions.get("biocnn", "?")
    name, module = section.name, own_module(section.name)
    if module and not any(module == one or module.startswith(f"{one}.") for one in trust):
        raise InputError(
            f"its network is {name!r}; loading it would run the module {module!r}, which is not part of biocnn",
            f"if you trust it: biocnn.load(path, trust=[{module!r}]), or --trust {module}",
        )
    remedy = f"the file was written by biocnn {written}: use that version, or train again"
    weights = sum(torch.Size(shape).numel() for _, shape in stored.values())
    # Networks of others may create layers that they discard.
    limits = (len(stored), weights) if not module else (1000 + 10 * len(stored), 10**8 + 10 * weights)
    try:
        with _at_most(*limits):
            model = with_words(build_model(choose("models", section.plain(), "model"), meta.facts), meta)
    except InputError as error:
        raise InputError(f"its network cannot be built: {error.message}", f"{error.remedy}; {remedy}") from error
    own = {key: (_TYPES.get(value.dtype), tuple(value.shape)) for key, value in model.state_dict().items()}
    different = [key for key in {**own, **stored} if own.get(key) != stored.get(key)]
    if different:
        key = different[0]
        raise InputError(
            f"the weights do not fit {name}: {key} is {_describe(stored.get(key))}, not {_describe(own.get(key))} "
            f"({len(different)} of {len(own)} differ)",
            remedy,
        )
    return model


_TYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.bool: "BOOL",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
}  # fmt: skip


def _describe(tensor: tuple[str | None, tuple[int, ...]] | None) -> str:
    return f"{tensor[0]} {list(tensor[1])}" if tensor else "absent"


@contextmanager
def _at_most(tensors: int, values: int) -> Iterator[None]:
    """Limit the weights of networks built in this context, before they take memory: settings can ask for any size."""
    count = [0, 0]

    def add(module: nn.Module, name: str, weight: Tensor | None) -> None:
        count[0] += 1
        count[1] += 0 if weight is None else weight.numel()
        if count[0] > tensors or count[1] > values:
            raise InputError("its settings make a network with more weights than the file holds", "check its settings")

    handle = register_module_parameter_registration_hook(add)
    try:
        yield
    finally:
        handle.remove()


def versions() -> dict[str, str]:
    """Return versions of the packages that affect results, and the commit if the code is in a git checkout."""
    packages = {"biocnn": biocnn.__version__}
    for name in ("torch", "numpy", "pandas", "scikit-image", "snakemake"):
        with suppress(PackageNotFoundError):  # biocnn.train works without Snakemake
            packages[name] = version(name)
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        commit = ""
    return {**packages, "python": platform.python_version(), "commit": commit or "unknown"}
