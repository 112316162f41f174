"""What the site adds to Sphinx: notebooks as they are stored, and references generated from the package."""

import json
import re
from typing import Any

from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser
from pydantic import BaseModel
from pygments.lexers.python import PythonLexer
from sphinx.application import Sphinx

from biocnn.config.registry import REGISTRY, target
from biocnn.config.schema import chosen_kind, settings_schema
from biocnn.config.settings import Settings
from biocnn.core.wording import describe, shown

NAMED = {"data": "data", "augment": "augment", "model": "models", "loss": "losses"}  # sections, and kinds of names
TEXT = {
    "negatives": "Kinds of negatives, for `data.negatives`.",
    "augment": "A list of names, each alone or with settings, or one of the sets `default`, `upright`, `chiral`, "
    "`anisotropic`, `none` ([input](images.md#augmentation)).",
    "model": "Or `auto`, the default, which leaves the network to the data.",
    "loss": "Left out: the first one that suits the task.",
}


class NotebookParser(MystParser):
    """Read a notebook with its stored outputs; nothing is executed."""

    supported = ("ipynb",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Parse a notebook as Markdown."""
        super().parse(notebook(json.loads(inputstring)), document)


def notebook(stored: dict[str, Any]) -> str:
    """Return a notebook as Markdown: text, code, and outputs as text or pictures."""
    parts = []
    for cell in stored["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else _code(source))
        for output in cell.get("outputs", ()):
            data = output.get("data", {"text/plain": output.get("text")})
            if "image/png" in data:
                parts.append(f"![](data:image/png;base64,{''.join(data['image/png']).strip()})")
            elif "text/html" in data:
                parts.append(f"```{{raw}} html\n{''.join(data['text/html'])}\n```")
            else:
                parts.append(f"```{{code-block}} text\n:class: output\n\n{''.join(data['text/plain']).rstrip()}\n```")
    return "\n\n".join(parts)


def _code(source: str) -> str:
    """Return a code cell as Markdown; a cell with commands has nothing else."""
    if written := re.match(r"%%writefile (\S+)\n", source):
        language = "yaml" if written[1].endswith(".yaml") else "python"
        return f"```{{code-block}} {language}\n:caption: {written[1]}\n\n{source[written.end() :]}\n```"
    if source.startswith("!"):
        return "```shell\n" + re.sub("^!", "", source, flags=re.MULTILINE) + "\n```"
    return f"```python\n{source}\n```"


def settings() -> str:
    """Return the reference of all settings as Markdown."""
    parts = []
    for key, field in Settings.model_fields.items():
        parts.append(f"## {key}\n")
        if key in NAMED:
            parts += [f"{_sentence(field.description)} {TEXT.get(key, '')}\n", *_named(NAMED[key])]
        elif isinstance(field.default, BaseModel):
            parts += [f"{type(field.default).__doc__}\n", _table(type(field.default))]
        else:
            words, _ = describe(field.annotation, tuple(field.metadata))
            parts.append(f"{_sentence(words)} Default: `{shown(field.default)}`. {_sentence(field.description)}\n")
        if key == "data":
            parts += [f"## negatives\n\n{TEXT['negatives']}\n", *_named("negatives")]
    return "\n".join(parts)


def _named(kind: str) -> list[str]:
    """Return a paragraph and a table for each name of a kind."""
    parts = []
    for name in REGISTRY[kind]:
        schema = settings_schema(target(kind, name))
        parts += [f"### {name}\n\n{schema.__doc__}\n", _table(schema)]
    return parts


def _table(schema: type[BaseModel], prefix: str = "") -> str:
    """Return the settings of a section as a table; those of sections within it have dotted names."""
    lines = ["| setting | allowed | default | meaning |", "|---|---|---|---|"] if not prefix else []
    for key, field in schema.model_fields.items():
        if isinstance(field.default, BaseModel):
            lines.append(_table(type(field.default), prefix=f"{key}.").rstrip())
        elif key != "name":
            kind = chosen_kind(field)
            words = f"a section {kind}" if kind else describe(field.annotation, tuple(field.metadata))[0]
            default = "required" if field.is_required() else f"`{shown(field.default)}`"
            cells = (f"`{prefix}{key}`", words, default, _sentence(field.description))
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n" if len(lines) > 2 or prefix else ""


def _sentence(text: str | None) -> str:
    """Return text with a capital letter, unless its first word is a value, and a full stop."""
    text = (text or "").strip()
    first = re.split(r"\W", text)[0]
    return f"{text[:1].upper() if first.isalpha() else text[:1]}{text[1:].removesuffix('.')}." if text else ""


def registered(kind: str) -> str:
    """Return directives for the classes and functions of a kind."""
    lines = []
    for name in REGISTRY[kind]:
        path = target(kind, name).replace(":", ".")
        directive = "autoclass" if path.rpartition(".")[2][0].isupper() else "autofunction"
        lines += [f".. {directive}:: {path}", ""]
    return "\n".join(["```{eval-rst}", *lines, "```"])


def generate(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace the marks in pages by what is generated."""
    source[0] = source[0].replace("<!-- settings -->", settings() if page == "settings" else "")
    source[0] = re.sub(r"<!-- registry: (\w+) -->", lambda mark: registered(mark[1]), source[0])


def escape(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Escape characters that docstrings use as such, as in (N, C, *spatial), and leave out what Python adds."""
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()
    lines[:] = [re.sub(r"(``.*?``)|([*|])", lambda mark: mark[1] or f"\\{mark[2]}", line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it."""
    app.add_source_suffix(".ipynb", "ipynb")
    app.add_source_parser(NotebookParser)
    app.add_lexer("snakemake", PythonLexer)
    app.connect("source-read", generate)
    app.connect("autodoc-process-docstring", escape, priority=1)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
