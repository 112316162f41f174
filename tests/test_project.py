"""The project's own rules: one list of packages, one direction of imports, a package that is fast to import."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

import biocnn
from biocnn.config.registry import REGISTRY

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "biocnn"

# A package imports only from packages named before it, or beside it on the same line.
ARROW = [
    ["core"],
    ["metrics"],
    ["config"],
    ["io", "nn"],
    ["losses", "models", "augment"],
    ["tasks"],
    ["data"],
    ["training"],
    ["prediction"],
    ["evaluation", "explain"],
    ["apply"],
    ["report"],
    ["workflow"],
]
RANK = {name: rank for rank, names in enumerate(ARROW) for name in names}

CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "snakemake": "snakemake-minimal"}


def imports(path: Path) -> set[str]:
    """Return the subpackages of biocnn that a file imports anywhere, including in functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by full name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("biocnn.")}
    return found


def test_imports_follow_the_arrow() -> None:
    wrong = []
    for path in PACKAGE.rglob("*/*.py"):
        here = path.relative_to(PACKAGE).parts[0]
        assert here in RANK, f"give {here} its place in ARROW"
        later = sorted(name for name in imports(path) if RANK.get(name, -1) > RANK[here])
        wrong += [f"{path.relative_to(PACKAGE)} must not import {later}: they come later in the arrow"] if later else []
    assert wrong == []


# Names of tasks or inputs that also have other meanings.
WORDS = ("mask_type", "normalise", "intensity")


def switches(path: Path) -> list[str]:
    """Return lines where a file compares with the name of a task or input."""
    names, found = {*REGISTRY["tasks"], *REGISTRY["inputs"]}, []

    def named(node: ast.AST | None) -> bool:
        """Return whether this is such a name, or a list of words with one."""
        words = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
        return any(isinstance(word, ast.Constant) and word.value in names for word in words)

    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            other = [ast.unparse(side) for side in (node.left, *node.comparators) if not named(side)]
            column = isinstance(node.ops[0], ast.In | ast.NotIn) and named(node.left)  # "image" in table
            own = any(re.search(rf"\b({'|'.join(WORDS)})\b", text) for text in other)
            if len(other) <= len(node.comparators) and not own and (not column or re.search("task|kind", other[0])):
                found.append(f"line {node.lineno}: compares {' '.join(other)}")
        elif isinstance(node, ast.Dict) and sum(map(named, node.keys)) > 1:
            found.append(f"line {node.lineno}: a table of such names")
        elif isinstance(node, ast.MatchValue) and named(node.value):
            found.append(f"line {node.lineno}: matches such a name")
    return found


def test_only_tasks_know_the_names_of_tasks() -> None:
    names = {str(path.relative_to(PACKAGE)): path for path in PACKAGE.rglob("*.py")}
    asked = {name: path for name, path in names.items() if not name.startswith(("tasks", "config/registry.py"))}
    found = {name: places for name, path in asked.items() if (places := switches(path))}
    assert found == {}, "ask the task or the input: an attribute or a method of biocnn.tasks"


def test_comparisons_with_task_names_are_found(tmp_path: Path) -> None:
    lines = [
        "task == 'mask'", "facts.kind != 'image'", "'classes' == task", "task in ('binary', 'multilabel')",
        "{'mask': 1, 'classes': 2}[task]", "'mask' in task",
    ]  # fmt: skip
    allowed = ["mask_type == 'binary'", "'image' in examples", "facts.normalise == 'image'", "{'mask': 1}", "x == 1"]
    for line in [*lines, *allowed]:
        (tmp_path / "code.py").write_text(line)
        assert bool(switches(tmp_path / "code.py")) == (line in lines), line
    (tmp_path / "code.py").write_text("match task:\n    case 'mask':\n        pass\n")
    assert switches(tmp_path / "code.py")


def test_import_is_light() -> None:
    code = "import sys, biocnn; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "monai", "numpy", "pandas", "sklearn", "skimage", "matplotlib"} & set(loaded)


def requirements() -> dict[str, str]:
    """Return lower bounds by package, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    return dict(line.split(">=") for line in lines if not line.startswith("biocnn[")) | {
        "python": project["requires-python"].removeprefix(">=")
    }


def test_the_conda_environment_matches_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "bioconda", "nodefaults"]
    *conda, pip = environment["dependencies"]
    named = dict(re.split(r"\s*>=", line) for line in conda + pip["pip"] if line != "pip")
    assert named == {CONDA_NAMES.get(name, name): version for name, version in requirements().items()}


def test_containers_copy_what_an_installation_needs() -> None:
    docker, apptainer = ((ROOT / "containers" / name).read_text() for name in ("Dockerfile", "biocnn.def"))
    copied = {word for line in re.findall(r"^COPY (.*) \S+$", docker, re.MULTILINE) for word in line.split()}
    assert copied == {*re.findall(r"^    (\S+) /opt/biocnn/", apptainer, re.MULTILINE)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = project["tool"]["setuptools"]["data-files"].values()
    own = {"biocnn", "pyproject.toml", "constraints.txt", project["project"]["readme"], "LICENSE"}
    assert copied == {name.split("/")[0] for names in folders for name in names} | own


def test_constraints_pin_every_requirement() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in lines), "only names and versions"
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower(): line.split("==")[1] for line in lines}
    assert pinned["torch"] == "2.13.0"

    def number(version: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", version)]

    for name, lowest in requirements().items():
        assert name == "python" or number(pinned[name]) >= number(lowest), name


def test_type_checks_are_not_relaxed() -> None:
    mypy = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert mypy["strict"]
    unchecked = {module for part in mypy["overrides"] if "ignore_errors" in part for module in part["module"]}
    assert len(unchecked) <= 8
    assert unchecked.isdisjoint(f"biocnn.{name}.*" for name in ("core", "nn", "config", "tasks"))
    assert (PACKAGE / "py.typed").is_file()


def test_files_are_small() -> None:
    long = {
        str(path.relative_to(ROOT)): n for path in PACKAGE.rglob("*.py") if (n := path.read_text().count("\n")) > 400
    }
    assert not long


def test_profiles_contain_only_options_of_snakemake() -> None:
    command = [sys.executable, "-m", "snakemake", "--help"]
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in ("default", "slurm"):
        for key in yaml.safe_load((ROOT / "profiles" / name / "profile.v9+.yaml").read_text()):
            assert f"--{key}" in known, (name, key)


def test_the_citation_agrees_with_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert citation["version"] == biocnn.__version__
    assert citation["license"] == project["license"]


def test_workflows_of_github_run_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    run = set()
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        jobs = yaml.safe_load(path.read_text())["jobs"]
        steps = [step for job in jobs.values() for step in job["steps"]]
        assert all(("uses" in step) != ("run" in step) for step in steps), path
        run |= {word for step in steps for word in re.findall(r"make (\w+)", step.get("run", ""))}
    assert {"lint", "test", "run", "docs"} <= run <= targets


def test_forms_of_github_are_complete() -> None:
    for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"):
        form = yaml.safe_load(path.read_text())
        assert {"name", "description", "body"} <= form.keys()
        ids = [field["id"] for field in form["body"]]
        assert len(ids) == len({*ids})


def test_names_of_test_files_are_unique() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names)), "pytest distinguishes test files by their names"
