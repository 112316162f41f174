"""The schema of every registered name, compared with `inspect.signature` of the object itself, and what it refuses."""

import inspect
import subprocess
import sys
from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from biocnn.config.registry import REGISTRY, find, target
from biocnn.config.schema import build, check, choose, settings_schema
from biocnn.core.errors import InputError

NAMES = [pytest.param(kind, name, id=f"{kind}-{name}") for kind, names in REGISTRY.items() for name in names]

MODULE = """
from pathlib import Path
from typing import Literal

import module_that_does_not_exist


class Net:
    def __init__(self, spatial_dims, in_channels, out_channels, *, width: int, kind: Literal["a", "b"] = "a",
                 start: float | None = None, sizes: list[int] = [1, 2], where: Path | None = None) -> None:
        ...


class Plain:
    pass


def odd(x, *, size: Tensor = 1):
    ...


def computed(x, *, size: int = 2 ** 3 + len("a")):
    ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with modules, one of them in a package, that can be read but not imported."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_networks.py").write_text(MODULE)
    (tmp_path / "my_package" / "inner").mkdir(parents=True)
    (tmp_path / "my_package" / "__init__.py").write_text("import module_that_does_not_exist")
    (tmp_path / "my_package" / "inner" / "nets.py").write_text(MODULE)  # inner is a namespace package
    settings_schema.cache_clear()
    yield tmp_path
    settings_schema.cache_clear()


def parts_of(annotation: object) -> object:
    """Return an annotation so that equal ones, with the same limits, are equal in Python."""
    entries = [entry.metadata if isinstance(entry, FieldInfo) else parts_of(entry) for entry in get_args(annotation)]
    origin = get_origin(annotation)
    return (Union if origin is UnionType else origin, entries) if entries else annotation


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_schema_is_the_signature(kind: str, name: str) -> None:
    schema = settings_schema(target(kind, name))
    parameters = inspect.signature(find(kind, name)).parameters.values()
    settings = {p.name: p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    fields = {key: field for key, field in schema.model_fields.items() if key != "name"}
    assert fields.keys() == settings.keys()
    for key, field in fields.items():
        default = PydanticUndefined if settings[key].default is inspect.Parameter.empty else settings[key].default
        assert field.default == default
        if key not in ("negatives", "network"):  # whose annotations name a kind
            expected = FieldInfo.from_annotation(settings[key].annotation)
            assert field.metadata == expected.metadata
            assert parts_of(field.annotation) == parts_of(expected.annotation)


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_defaults_satisfy_the_schema(kind: str, name: str) -> None:
    schema = settings_schema(target(kind, name))
    if not any(field.is_required() for key, field in schema.model_fields.items() if key != "name"):
        assert choose(kind, name, "here") == choose(kind, {"name": name}, "here")


def test_reading_all_schemas_imports_nothing_heavy() -> None:
    code = (
        "import sys; from biocnn.config.registry import REGISTRY; from biocnn.config.schema import settings_schema\n"
        "for names in REGISTRY.values():\n    for entry in names.values(): settings_schema(entry.path)\n"
        "print(*sorted({'torch', 'monai', 'numpy', 'pandas', 'sklearn', 'skimage'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize("module", ["my_networks", "my_package.inner.nets"])
def test_a_users_class_is_read_but_not_run(folder: Path, module: str) -> None:
    chosen = choose("models", {"name": f"{module}:Net", "width": 3, "where": "there"}, "model")
    assert chosen.model_dump() == {
        "name": f"{module}:Net", "width": 3, "kind": "a", "start": None, "sizes": [1, 2], "where": Path("there")
    }  # fmt: skip
    assert choose("models", f"{module}:Plain", "model").model_dump() == {"name": f"{module}:Plain"}


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [
        ("UNt", "model.name: 'UNt' is not known", "did you mean 'UNet'"),
        ("my_networks:Nett", "model.name: module 'my_networks' has no 'Nett'", "did you mean 'Net'"),
        ("my_networks:", "has no ''", "allowed: Net, Plain"),
        ("nowhere:Net", "module 'nowhere' was not found", "run from the folder"),
        ("my_package.nowhere:Net", "module 'my_package.nowhere' was not found", "run from the folder"),
        ("my_networks.inner:Net", "module 'my_networks.inner' was not found", "run from the folder"),
        (":Net", "module '' was not found", "run from the folder"),
        (".my_networks:Net", "was not found", "run from the folder"),
        ("sys:exit", "module 'sys' was not found", "run from the folder"),
        ("my_networks:odd", "setting 'size' of my_networks:odd cannot be read", "annotate it with int"),
        ("my_networks:computed", "setting 'size' of my_networks:computed cannot be read", "must be a literal"),
        ("importing:Net", "module 'importing' only imports 'Net'", "name the module that defines it"),
        ("broken:Net", "broken.py line 2: ", "fix this line"),
    ],
)
def test_names_that_cannot_be_found(folder: Path, name: str, message: str, remedy: str) -> None:
    (folder / "importing.py").write_text("from my_networks import Net, Plain\nclass Plain(Plain): ...\n")
    assert choose("models", "importing:Plain", "model").name == "importing:Plain"
    (folder / "broken.py").write_text("x = 1\nclass Net(:\n")
    with pytest.raises(InputError) as caught:
        choose("models", name, "model")
    assert message in caught.value.message
    assert remedy in caught.value.remedy


INHERITING = '''
from dataclasses import dataclass

from module_that_does_not_exist import Elsewhere
from my_bases import Far as Renamed

class Base:
    """Read.

    Parameters
    ----------
    path, folder
        Where the files are.
    least
        Smallest size,
        in pixels.

    Raises
    ------
    InputError
        Never.
    """
    def __init__(self, *, path: str, folder: str = "here", least: int = 1): ...

class Inherits(Base): ...
class PassesOn(Base):
    """Read.

    Parameters
    ----------
    least
        Other words.
    """
    def __init__(self, *, least: int = 2, **more): ...
class Alone(Base):
    def __init__(self, *, own: int = 1): ...
@dataclass(kw_only=True)
class Generated(Renamed):
    own: int = 1
class Deeper(Generated, Inherits): ...
class Unknown(Elsewhere): ...
class TakesAny:
    def __init__(self, **more): ...
def takes_any(x, u, *, own: int = 1, **more): ...
@attrs.define
class Decorated:
    own: int = 1
'''


@pytest.mark.parametrize(
    ("name", "settings", "complete"),
    [
        ("Inherits", {"path": ..., "folder": "here", "least": 1}, True),
        ("PassesOn", {"path": ..., "least": 2, "folder": "here"}, True),
        ("Alone", {"own": 1}, True),
        ("Generated", {"own": 1, "far": None}, True),
        ("Deeper", {"path": ..., "own": 1, "far": None, "folder": "here", "least": 1}, True),
        ("Unknown", {}, False),
        ("TakesAny", {}, False),
        ("takes_any", {"own": 1}, False),
        ("Decorated", {}, False),
    ],
)
def test_settings_are_inherited_where_python_passes_them_on(
    folder: Path, name: str, settings: dict, complete: bool
) -> None:
    (folder / "my_readers.py").write_text(INHERITING)
    (folder / "my_bases.py").write_text("@dataclass\nclass Far:\n    far: int | None = None\n")
    schema = settings_schema(f"my_readers:{name}")
    found = {key: ... if field.is_required() else field.default for key, field in schema.model_fields.items()}
    assert list(found.items()) == [("name", ...), *settings.items()]  # required ones first, then its own
    kind = "augment" if name.islower() else "data"
    given = {key: "a" for key in settings if settings[key] is ...}
    with pytest.raises(InputError, match=r"^here\.other: unknown key") as caught:
        choose(kind, {"name": f"my_readers:{name}", **given, "other": 1}, "here")
    assert (f"settings of {name} are its own and those of base classes" in caught.value.remedy) != complete


def test_descriptions_are_inherited_unless_a_class_gives_its_own(folder: Path) -> None:
    (folder / "my_readers.py").write_text(INHERITING)
    fields = settings_schema("my_readers:PassesOn").model_fields
    assert {key: field.description for key, field in fields.items()} == {
        "name": None, "path": "Where the files are.", "folder": "Where the files are.", "least": "Other words."
    }  # fmt: skip
    base = settings_schema("my_readers:Base")
    assert (base.__doc__, base.model_fields["least"].description) == ("Read.", "Smallest size, in pixels.")


def test_augmentations_of_another_signature_are_refused_with_the_right_one(folder: Path) -> None:
    (folder / "my_changes.py").write_text(
        "def old(x, y, u, *, max: int = 3): ...\ndef new(x, u, *, max: int = 3): ...\n"
    )
    assert choose("augment", "my_changes:new", "augment.0").model_dump() == {"name": "my_changes:new", "max": 3}
    with pytest.raises(InputError, match=r"augment\.0\.name: old\(x, y, u\) does not have the signature") as caught:
        choose("augment", "my_changes:old", "augment.0")
    assert "define old(x, u, *, settings) and return x, move" in caught.value.remedy


@pytest.mark.parametrize(
    ("section", "message", "remedy"),
    [
        (None, "model: must have a name", "model: {name: DeepBind}"),
        ({"channels": 3}, "model: must have a name", "for example"),
        ({"name": 3}, "model: must have a name", "for example"),
        ({"name": "UNet", "chanels": [1]}, "model.chanels: unknown key", "did you mean 'channels'"),
        ({"name": "UNet", 3: 4}, "model.3: unknown key", "allowed: channels"),
        (
            {"name": "UNet", "dropout": "much"},
            "model.dropout: must be a number >= 0 and < 1 (given",
            "dropout: 0.0",
        ),
        (
            {"name": "UNet", "dropout": True},
            "model.dropout: must be a number >= 0 and < 1 (given: true)",
            "dropout: 0.0, the default",
        ),
        (
            {"name": "UNet", "dropout": float("nan")},
            "must be a number >= 0 and < 1 (given: .nan)",
            "0.0",
        ),
        (
            {"name": "UNet", "channels": 16},
            "must be a list (each: a whole number >= 1) or null (given: 16)",
            "channels: [1, 2, 3]",
        ),
        ({"name": "UNet", "channels": [True]}, "model.channels: ", "channels: [1, 2, 3]; left out: null"),
        ({"name": "UNet", "residual": 1}, "model.residual: must be true or false (given: 1)", "residual: false"),
        ({"name": "UNet", "down": "mean"}, "must be one of max, average, strided (given: 'mean')", "down: max"),
    ],
)
def test_faults_name_the_dotted_key_and_what_is_allowed(section, message: str, remedy: str) -> None:
    with pytest.raises(InputError) as caught:
        choose("models", section, "model")
    assert message in caught.value.message
    assert remedy in caught.value.remedy


def test_a_choice_in_a_section() -> None:
    section = {"name": "Intervals", "genome": "g.fa", "positives": "p.bed", "negatives": {"name": "random"}}
    negatives = choose("data", section, "data").negatives
    assert negatives.model_dump() == {"name": "random", "ratio": 1.0, "distance": 300}
    bare = choose("data", {**section, "negatives": "random"}, "data")
    assert bare == choose("data", section, "data")
    for wrong, word in (("randm", "random"), ({"name": "random", "ration": 2}, "ratio")):
        with pytest.raises(InputError, match=r"data\.negatives\.") as caught:
            choose("data", {**section, "negatives": wrong}, "data")
        assert f"did you mean {word!r}" in caught.value.remedy


def test_missing_setting_is_named() -> None:
    with pytest.raises(InputError, match=r"data\.genome: is missing: the path of a file") as caught:
        choose("data", {"name": "Intervals", "positives": "p.bed"}, "data")
    assert caught.value.remedy == "for example genome: file"


def test_check_refuses_values_that_are_not_sections() -> None:
    schema = settings_schema(target("models", "UNet"))
    with pytest.raises(InputError, match=r"model: must be a section \(given: 3\)"):
        check(schema, 3, "model")


def test_build_passes_positional_values_and_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biocnn.config.schema.find", lambda kind, name: lambda *args, **settings: (args, settings))
    section = choose("models", {"name": "my_networks:Net", "width": 3, "where": "there"}, "model")
    expected = {"width": 3, "kind": "a", "start": None, "sizes": [1, 2], "where": Path("there")}
    assert build("models", section, 1, 4, 2) == ((1, 4, 2), expected)


HOSTILE = """
from typing import Annotated, Literal, Mapping, Optional, Sequence, Union
import typing


def good(x, *, a: Optional[int] = None, b: "list[float]" = [], c: Annotated[int, print("ran")] = 1,
         d: typing.Literal["u", 2] = "u", e: tuple[int, ...] = (), f: Union[int, str, None] = None,
         g: Sequence[Mapping[str, bool]] = []):
    ...


def runs(x, *, a: __import__("pathlib").Path("PWNED").touch() or int = 1):
    ...


def escapes(x, *, a: ().__class__.__base__.__subclasses__()[0] = 1):
    ...


def calls(x, *, a: list[open("PWNED", "w")] = 1):
    ...


def hides(x, *, _a: int = 1):
    ...
"""


def test_annotations_are_read_but_never_run(folder: Path) -> None:
    (folder / "hostile.py").write_text(HOSTILE)
    schema = settings_schema("hostile:good")
    wanted = {
        "a": int | None, "b": list[float], "c": int, "d": Literal["u", 2], "e": tuple[int, ...],
        "f": int | str | None, "g": list[dict[str, bool]],
    }  # fmt: skip
    assert {key: field.annotation for key, field in schema.model_fields.items()} == {"name": str} | wanted
    for name, said in (
        ("runs", "is not a type"),
        ("escapes", "is not a type"),
        ("calls", "is not a type"),
        ("hides", "have this name"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            choose("models", f"hostile:{name}", "model")
        assert caught.value.remedy
    assert not (folder / "PWNED").exists()


@pytest.mark.parametrize("content", [b"x = '\xff'", b"x = 1\0", b"(" * 5000])
def test_a_module_that_is_not_python(folder: Path, content: bytes) -> None:
    (folder / "odd_bytes.py").write_bytes(content)
    with pytest.raises(InputError, match=r"odd_bytes\.py"):
        choose("models", "odd_bytes:Net", "model")


def test_installed_packages_take_precedence_over_files_in_the_working_folder(folder: Path) -> None:
    """A nibabel.py beside the data is ignored, but a module named in the experiment is found there."""
    (folder / "nibabel.py").write_text("raise SystemExit('nibabel.py of the working folder was run')")
    (folder / "own_net.py").write_text("from torch import nn\n\nclass Net(nn.Module):\n    pass\n")
    code = (
        "import sys; from biocnn.config.registry import find\n"
        "find('data', 'Images'); assert sys.path.count({0!r}) == 0\n"
        "find('models', 'own_net:Net'); assert sys.path[-1] == {0!r}\n"
        "import nibabel; print(nibabel.__version__)"
    )
    script = folder.parent / "script.py"  # not `python -c`, which puts the working folder first
    script.write_text(code.format(str(folder)))
    done = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_modules_that_cannot_be_imported_are_reported(folder: Path) -> None:
    with pytest.raises(
        InputError, match="'my_networks:Net' cannot be imported: No module named 'module_that"
    ) as caught:
        find("models", "my_networks:Net")
    assert "folder that contains the module" in caught.value.remedy
