"""The command line: steps from signatures, errors without traceback and with status 2, no incomplete output."""

import argparse
import inspect
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import biocnn
from biocnn.core.errors import InputError
from biocnn.workflow import cli
from biocnn.workflow.arguments import ARGUMENTS, DEFAULTS
from biocnn.workflow.cli import STEPS


def run(*arguments: object, limit: int | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Run ``biocnn`` in a separate process; files can only grow to ``limit`` bytes, as if the disk were full."""
    code = "import sys; from biocnn.workflow.cli import main; sys.exit(main(sys.argv[1:]))"
    if limit is not None:
        code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n" + code
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_every_step_has_a_help_text_and_every_parameter(step, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([step.__name__, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for name, parameter in inspect.signature(step).parameters.items():
        wanted = f"--{name.replace('_', '-')}" if parameter.kind is inspect.Parameter.KEYWORD_ONLY else name
        assert wanted in text or name == cli.MORE
    assert "--debug" in text


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_every_argument_is_described_with_what_is_used_without_it(step) -> None:
    command = next(iter(cli.parser(step.__name__)._subparsers._group_actions)).choices[step.__name__]
    for action in command._actions:
        assert action.help.split("(default")[0].strip(), f"describe {action.dest} in biocnn/workflow/arguments.py"
        if action.option_strings and action.default not in (None, "", False, argparse.SUPPRESS):
            assert "default: " in action.help, action.dest


def test_the_texts_of_arguments_are_all_used() -> None:
    used = {(step.__name__, name) for step in STEPS for name in inspect.signature(step).parameters}
    for texts in (ARGUMENTS, DEFAULTS):
        for key in texts:
            command, _, name = key.rpartition(".")
            assert any(name == n and command in ("", c) for c, n in used), key


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"biocnn {biocnn.__version__}\n"


def test_other_arguments_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def run(*files: Path, seed: int = 1, more: tuple[str, ...] = ()) -> None:
        """Record."""
        calls.append((files, seed, more))

    monkeypatch.setattr(cli, "STEPS", (run,))
    monkeypatch.setitem(ARGUMENTS, "files", "files")
    a, b = Path("a.yaml"), Path("b.yaml")
    for words, given in {
        "a.yaml b.yaml": ((a, b), 1, []),
        "--seed 2 a.yaml -n": ((a,), 2, ["-n"]),
        "a.yaml --until train -- --seed 3 x": ((a,), 1, ["--until", "train", "--seed", "3", "x"]),
    }.items():
        assert cli.main(["run", *words.split()]) == 0
        assert calls.pop() == given, words


def recorder(calls: list):
    def step(config: Path, out: Path, *runs: Path, data_root: Path = Path(), seed: int = 1, genome: Path | None = None):
        """Record."""
        calls.append((config, out, runs, data_root, seed, genome))

    return step


def test_arguments_reach_the_step_with_their_types(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(cli, "STEPS", (recorder(calls),))
    assert cli.main(["step", "a.yaml", "out", "r1", "r2", "--data-root", "d", "--seed", "7", "--genome", "g"]) == 0
    assert cli.main(["step", "a.yaml", "out"]) == 0
    assert calls == [
        (Path("a.yaml"), Path("out"), (Path("r1"), Path("r2")), Path("d"), 7, Path("g")),
        (Path("a.yaml"), Path("out"), (), Path(), 1, None),
    ]


@pytest.mark.parametrize("arguments", [[], ["simulate"], ["simulate", "nuclei", "out", "--seed", "one"]])
def test_wrong_usage_has_status_2(arguments: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: biocnn" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chek"], "biocnn: unknown command 'chek'\n  did you mean 'check'?"),
        (["--halp"], "biocnn: unknown command '--halp'\n  did you mean '--help'?"),
        (["simulate", "nuclei", "out", "--sed", "1"], "simulate: unknown option --sed\n  did you mean '--seed'?"),
        (["variants", "a.vcf", "out", "m", "--genmoe=g"], "unknown option --genmoe\n  did you mean '--genome'?"),
        (["scan", "g", "out", "m", "-threshold", "-1"], "unknown option -threshold\n  did you mean '--threshold'?"),
        (["predict", "m", "a", "out", "--on_error", "stop"], "unknown option --on_error\n  did you mean '--on-error'?"),
    ],
)
def test_unknown_words_name_the_nearest(arguments: list[str], message: str, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_words_after_two_dashes_are_no_options(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(cli, "STEPS", (recorder(calls),))
    assert cli.main(["step", "--", "a.yaml", "--out"]) == 0
    assert calls[0][:2] == (Path("a.yaml"), Path("--out"))


def test_bad_input_has_status_2_and_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "mine.yaml").write_text("data: {name: Intervls}\nmodel: {name: DeepBind}")
    arguments = ["check", str(tmp_path / "mine.yaml"), str(tmp_path / "raw"), str(tmp_path / "out" / "checks.tsv")]
    assert cli.main(arguments) == 2
    text = capsys.readouterr().err
    assert text.startswith(f"biocnn check: {tmp_path}/mine.yaml: data.name: 'Intervls' is not known\n  did you mean")
    assert "Traceback" not in text
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError):
        cli.main([*arguments, "--debug"])


def test_no_message_repeats_the_name_of_its_step(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["scan", "genome.fa", "out"]) == 2
    assert capsys.readouterr().err.startswith("biocnn scan: no model given\n")
    begin = re.compile(r"InputError\(\s*f?\"(" + "|".join(step.__name__ for step in STEPS) + "): ")
    for path in sorted(Path(biocnn.__file__).parent.rglob("*.py")):
        assert not begin.search(path.read_text()), path


def test_programming_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def step() -> None:
        """Fail."""
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "STEPS", (step,))
    with pytest.raises(ZeroDivisionError):
        cli.main(["step"])


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["sequences", "nuclei"])
@pytest.mark.parametrize("limit", [100, 20_000])
def test_full_disk(tmp_path: Path, kind: str, limit: int) -> None:
    done = run("simulate", kind, tmp_path / "demo", limit=limit)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("biocnn simulate: cannot write ")
    assert "free some space" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_arrays_are_written(tmp_path: Path) -> None:
    """Errors of numpy contain only text, no error number."""
    fasta, limit = tmp_path / "genome.fa", 50_000
    letters = np.random.default_rng(1).choice(list("ACGT"), 200_000)
    fasta.write_text(">chr1\n" + "".join(letters) + "\n")
    done = run("genome", fasta, tmp_path / "encoded", limit=limit)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == ["genome.fa"]
    assert run("genome", fasta, tmp_path / "encoded").returncode == 0


def test_a_folder_that_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = run("simulate", "nuclei", tmp_path / "file" / "demo")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_light() -> None:
    code = "import sys; from biocnn.workflow.cli import parser; parser().format_help(); print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "torch", "monai", "pandas", "sklearn", "skimage", "matplotlib"} & set(found)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_step_leaves_no_incomplete_output(tmp_path: Path, number: int, status: int) -> None:
    (tmp_path / "genome.fa").write_text(">a\nACGT\n")
    code = """
import sys, time
from biocnn.workflow import cli
from biocnn.workflow.arguments import ARGUMENTS, DEFAULTS
from biocnn.io import genome
real = genome.read_fasta
def slow(*given):
    yield from real(*given)
    print("reading", flush=True)
    time.sleep(60)
genome.read_fasta = slow
sys.exit(cli.main(sys.argv[1:]))
"""
    command = [sys.executable, "-c", code, "genome", str(tmp_path / "genome.fa"), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "reading\n", process.stderr.read()
        assert list(tmp_path.glob(".out.*.tmp"))
        process.send_signal(number)
        said = process.communicate(timeout=20)[1]
    assert process.returncode == status
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["genome.fa"]
