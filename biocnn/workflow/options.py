"""Options of steps that are settings of an experiment: from the command line, else its file, else the defaults."""

from pathlib import Path
from typing import Any

from biocnn.core.errors import InputError
from biocnn.workflow.step_inputs import load_experiment

# Steps whose options are the settings of these sections: see biocnn.config.settings.
OPTIONS = {"predict": ("predict", "apply"), "variants": ("variants",), "scan": ("scan",)}


def options_of(step: str, config: Path | None, data_root: Path, trust: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return keyword arguments of a step: options, else settings of the experiment, else defaults; trusted modules."""
    from biocnn.config.schema import option_fields, options
    from biocnn.config.search_space import own_modules
    from biocnn.config.settings import Settings

    settings = load_experiment(config, data_root).settings if config else None
    sections = [getattr(settings, name) if settings else Settings.model_fields[name].default for name in OPTIONS[step]]
    fields = [(key, getattr(section, key)) for section in sections for key in option_fields(type(section))]
    own = {key: value for key, value in fields if value is not None}
    checked: list[Any] = options(own | given, *map(type, sections))
    found = {key: getattr(section, key) for section in checked for key in option_fields(type(section))}
    return found | {"trust": [*trust.split(","), *(own_modules(settings) if settings else ())]}


def of_stored(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that concern stored examples, too."""
    from biocnn.config.settings import Predict

    return {key: value for key, value in given.items() if key in {"trust", *Predict.model_fields}}


def signal_files(text: str | None, config: Path | None, data_root: Path) -> dict[str, Path] | None:
    """Return the bigWig files of tracks by name: of NAME=FILE,NAME=FILE, else data.signal of the experiment."""
    if not text:
        return getattr(load_experiment(config, data_root).settings.data, "signal", None) if config else None
    parts = [part.partition("=") for part in text.split(",")]
    for name, sign, path in parts:
        if not (name.strip() and sign and path.strip()):
            raise InputError(f"--signal: {name}{sign}{path!s} is not NAME=FILE", "for example --signal atac=atac.bw")
    files = {name.strip(): Path(path.strip()) for name, _, path in parts}
    if len(files) < len(parts):
        raise InputError(f"--signal: {text} names a track twice", "give one file for each track")
    return files
