"""Jobs on a cluster, which read the Snakefile again, use the settings found at the start of the run."""

import subprocess
from pathlib import Path

import pytest

from tests.stand_in import calls, stand_in

pytestmark = pytest.mark.slurm


def test_jobs_do_not_read_the_yaml_files_again(
    cluster: dict[str, str], project: Path, polling: list[str], tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    found = stand_in(tmp_path / "bin")
    environment = cluster | {"PATH": f"{tmp_path / 'bin'}:{cluster['PATH']}", "PYTHONPATH": found["PYTHONPATH"]}
    (project / "meanwhile.py").write_text(
        "for path in Path('config/experiments').glob('*.yaml'):\n    path.write_text('data: [')\n"
    )
    command = ["snakemake", "--workflow-profile", "profiles/slurm", *polling]
    chosen = ["--until", "check", "--config", "experiments=[demo_nuclei]"]
    run = subprocess.run([*command, *chosen], cwd=project, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-8000:]
    given = calls(project)
    assert {call["step"] for call in given} == {"simulate", "check"}
    assert all(call["config"]["digest"] for call in given if call["config"])
