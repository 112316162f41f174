"""Untrusted YAML: numbers are those of YAML 1.2; odd, huge or hostile content is refused with its line number."""

import resource
from pathlib import Path

import pytest
import yaml

from biocnn.config.experiment_file import read_yaml
from biocnn.core.errors import InputError

BASE = "data: {name: Intervals}\n"


def read(folder: Path, text: str) -> dict:
    path = folder / "mine.yaml"
    path.write_bytes(text.encode())
    return read_yaml(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1.0e+3", 1000.0), ("-2", -2), ("0", 0), (".5", 0.5), ("+7", 7), ("1.", 1.0),
        ("-.inf", -float("inf")), ("007", "007"), ("1_2", "1_2"), ("1:30", "1:30"), ("2020-01-31", "2020-01-31"),
        ("0x10", "0x10"), ("1.2.3", "1.2.3"), ("chr1", "chr1"), ("true", True), ("null", None), ("~", None),
        ("'1'", "1"), ("!!str 1", "1"), ("00.5", "00.5"),
    ],
)  # fmt: skip
def test_values_are_what_they_look_like(tmp_path: Path, text: str, value: object) -> None:
    found = read(tmp_path, f"x: {text}\n")["x"]
    assert found == value
    assert type(found) is type(value)


def test_output_of_pyyaml_is_read_back(tmp_path: Path) -> None:
    """Settings are shown as PyYAML (YAML 1.1) writes them, and may be pasted into a file."""
    settings = {"a": ["007", "1_2", "1:30", "2020-01-31", "yes", "1.5", "é"], "b": {"c": 1e-3, "d": 10**6, "e": None}}
    assert read(tmp_path, yaml.safe_dump(settings)) == settings


def test_an_alias_can_be_used_several_times(tmp_path: Path) -> None:
    text = "a: &t {epochs: 3, seeds: [1, 2]}\nb: *t\nc: {<<: *t, lr: 0.1}\n"
    once = {"epochs": 3, "seeds": [1, 2]}
    assert read(tmp_path, text) == {"a": once, "b": once, "c": {**once, "lr": 0.1}}


LAUGHS = "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}' if i else 'x'] * 10)}]\n" for i in range(12))
NESTED = "[x, x]"
for level in range(20):  # nested, so that only the first key is present
    NESTED = f"[&x{level} {NESTED}, *x{level}, *x{level}]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "more than 100,000 values"), ("split: &s {val: [*s]}\n", "more than 100,000 values"),
        ("a: &a {<<: *a}\n", "more than 100,000 values"), ("x: [" + "1," * 100_001 + "]\n", "more than 100,000 values"),
        ("x: " + "[" * 1000 + "]" * 1000, "hundreds of"), ("x: " + "{a: " * 2000 + "1" + "}" * 2000, "hundreds of"),
        ("#" + "x" * 2_000_000, "larger than 1,000,000 bytes"), (BASE + "seed: " + "9" * 5000 + "\n", "line 2: "),
        (f"x: {NESTED}\n", "more than 100,000 values"), ("lr: !!float abc\n", "line 1: 'abc' cannot be read"),
        (BASE + "seed: !!int abc\n", "line 2: 'abc' cannot be read"),
        (BASE + 'seed: "\\ud800"\n', "line 2: "), ("x: !!timestamp abc\n", "line 1: "), ("x: !!bool abc\n", "line 1: "),
        ("x: !!python/object/apply:os.system [ls]\n", "line 1: not valid YAML: could not determine a constructor"),
        ("? [a, b]\n: 3\n", "line 1: a key is not plain text"), ("a: 1\na: 2\n", "line 2: duplicate key 'a'"),
        ("", "must contain sections"), ("[1, 2]", "must contain sections"), (BASE + "---\n" + BASE, "another document"),
    ],
)  # fmt: skip
def test_odd_or_hostile_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert said in caught.value.message
    assert caught.value.remedy
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, "KiB"
