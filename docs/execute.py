"""Execute the notebooks of the tutorials and store their outputs: python -m docs.execute [NOTEBOOK ...]

Each runs in a new folder of its own. Besides Python, a cell may contain lines `!command`, or begin with `%%writefile
NAME`. The site shows stored outputs; a test compares the digest of the code with that of the execution.
"""

import ast
import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "tutorials"


def code_of(notebook: dict[str, Any]) -> list[str]:
    """Return the code cells of a notebook."""
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def digest(notebook: dict[str, Any]) -> str:
    """Return a digest of all code."""
    return hashlib.sha256("\0".join(code_of(notebook)).encode()).hexdigest()


def execute(notebook: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Run the code cells in the working folder, and yield the outputs of each."""
    import matplotlib

    matplotlib.use("agg")
    space: dict[str, Any] = {"__name__": "__main__"}
    for code in code_of(notebook):
        yield list(_outputs(code, space))


def _outputs(code: str, space: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Run a cell, and yield what it prints, its figures and its last value, as Jupyter does."""
    from matplotlib import pyplot

    if write := re.match(r"%%writefile (\S+)\n", code):
        Path(write[1]).write_text(code[write.end() :] + "\n", encoding="utf-8")
        yield _stream(f"Writing {write[1]}\n")
        return
    code = re.sub(r"^!(.*)$", lambda line: f"_shell({line[1]!r})", code, flags=re.MULTILINE)
    tree, printed, value = ast.parse(code), io.StringIO(), None
    shown = tree.body and isinstance(tree.body[-1], ast.Expr) and not code.rstrip().endswith(";")
    last = tree.body.pop() if shown else None
    space["_shell"] = lambda command: print(_shell(command), end="")
    with redirect_stdout(printed), redirect_stderr(printed):
        exec(compile(tree, "cell", "exec"), space)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), space)
    if text := printed.getvalue():
        yield _stream(text)
    for number in pyplot.get_fignums():
        picture = io.BytesIO()
        pyplot.figure(number).savefig(picture, format="png", dpi=80, bbox_inches="tight")
        pyplot.close(number)
        data = {"image/png": base64.b64encode(picture.getvalue()).decode(), "text/plain": "<Figure>"}
        yield {"output_type": "display_data", "metadata": {}, "data": data}
    if value is not None:
        temporary = rf"{re.escape(tempfile.gettempdir())}/(?:[\w.-]+/)*"  # where an unsaved model is
        html = re.sub(temporary, ".../", value._repr_html_()) if hasattr(value, "_repr_html_") else None
        data = ({"text/html": html} if html else {}) | {"text/plain": repr(value)}
        yield {"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": data}


def _shell(command: str) -> str:
    """Run a command with this environment's programs, and return what it prints without the progress of its jobs."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment, pipe = os.environ | {"PATH": path}, subprocess.PIPE
    done = subprocess.run(["bash", "-c", command], stdout=pipe, stderr=subprocess.STDOUT, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{command}\n{done.stdout}")
    return done.stdout.replace(f"{Path.cwd()}/", "")


def _stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}


def main(*paths: str) -> None:
    """Execute notebooks, by default all of them, and store their outputs."""
    for path in [*map(Path, paths)] or sorted(FOLDER.glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            for number, (cell, outputs) in enumerate(zip(cells, execute(notebook), strict=True), 1):
                cell |= {"outputs": outputs, "execution_count": number}
                print(f"{path.name}: cell {number} of {len(cells)}", flush=True)
        notebook["metadata"]["executed"] = digest(notebook)
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
