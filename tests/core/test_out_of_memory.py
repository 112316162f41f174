"""If a job was killed because it ran out of memory, the last lines of a run say so and suggest settings."""

import shutil
from pathlib import Path

from biocnn.workflow.closing import memory_advice
from tests.stand_in import ROOT, run, stand_in


def test_a_killed_step_is_reported_with_the_setting_to_change(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "bin").mkdir()
    (tmp_path / "meanwhile.py").write_text("if step == 'train': os.kill(os.getpid(), 9)")
    text = run(tmp_path, stand_in(tmp_path / "bin"), "--config", "experiments=[demo_sequences]", status=1)
    assert "because it ran out of memory" in text
    assert "--set-resources train:mem_mb=16000" in text


def test_messages_of_slurm_are_recognised_and_other_failures_ignored(tmp_path: Path) -> None:
    job, log = tmp_path / "slurm_logs" / "6.log", tmp_path / "log"
    job.parent.mkdir()
    job.write_text(
        "slurmstepd-node: error: StepId=6.0 exceeded memory limit (9 > 5), being killed\nError in rule predict:\n"
    )
    log.write_text(f"Error in rule train:\nError in rule predict:\n    log: a.log, {job} (check log file(s))\n")
    assert "--set-resources predict:mem_mb=16000\n" in memory_advice([str(log)])
    log.write_text("Error in rule train:\n  exit status 1\n  CUDA out of memory\n")
    assert memory_advice([str(log), "absent"]) == ""
