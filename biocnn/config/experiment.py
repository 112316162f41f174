"""A checked experiment, and the frozen copy of it that the jobs of a run read."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from biocnn.config.schema import map_text
from biocnn.core.errors import InputError
from biocnn.core.files import atomic


@dataclass(frozen=True)
class Experiment:
    """A checked experiment.

    Parameters
    ----------
    name
        Its folder under results.
    settings
        Every default filled in, every path resolved.
    files
        The resolved paths by their dotted keys.
    source, data_root
        The YAML file, and the folder that its relative paths start at.
    command
        What runs the experiment again, to be typed in the folder that it was run in; "" where no workflow ran it.
    contents
        What the files hold, in a word each, by resolved path: see ``biocnn.workflow.contents``.
    """

    name: str
    settings: dict[str, Any]
    files: dict[str, str]
    source: str = ""
    data_root: str = "."
    command: str = ""
    contents: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, section: str) -> Any:
        return self.settings[section]

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that stand for all settings."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:12]

    def only(self, *sections: str, leave: tuple[str, ...] = ()) -> str:
        """Canonical JSON of some sections: what a rule depends on; files by what they hold, not by where they are."""
        kept = {s: self.settings[s] for s in sections}
        for key in leave:
            section, _, entry = key.partition(".")
            kept[section] = {k: v for k, v in kept[section].items() if k != entry}
        return json.dumps(map_text(lambda text, _: self.contents.get(text, text), kept), sort_keys=True)

    def freeze(self, path: Path) -> None:
        """Write the experiment as it is now, unless that is what the file holds already."""
        text = json.dumps({"digest": self.digest, **asdict(self)}, indent=1)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            with atomic(path) as temporary:
                temporary.write_text(text, encoding="utf-8")


def read_frozen(path: Path) -> Experiment:
    """The experiment that ``Experiment.freeze`` wrote.

    Raises
    ------
    InputError
        Where there is no such file, or its settings are not those that were frozen.
    """
    remedy = "change the experiment's YAML file instead, and run snakemake: it writes this one"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        digest = found.pop("digest")
        experiment = Experiment(**found)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file", "snakemake writes it as a run starts") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: not as it was written ({error})", remedy) from error
    if digest != experiment.digest:
        raise InputError(f"{path}: changed by hand: its settings do not have the digest {digest}", remedy)
    return experiment
