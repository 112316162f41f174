"""Commands that prove results: verify them, or run an experiment again elsewhere."""

import json
import logging
import os
import subprocess
from pathlib import Path

from biocnn.core.errors import InputError
from biocnn.core.files import atomic
from biocnn.core.plurals import plural
from biocnn.workflow.launch import environment, snakemake_command
from biocnn.workflow.naming import check_name

log = logging.getLogger("biocnn")


def verify(results: Path, *, data_root: Path | None = None) -> None:
    """Hash the files of experiments again, and name what differs from the manifests.

    RESULTS is the folder of one experiment, or of all. The exit status is 2 if settings or any file differ, or an
    experiment has no manifest. Other code, versions or another processor are only named: they may change the bits of a
    rerun.
    """
    from biocnn.workflow.manifest import NAME, changed_surroundings, read_manifest, verified

    names = (NAME, "experiment.json")  # an unfinished experiment has only the latter
    folders = sorted({path.parent for name in names for path in (*results.glob(name), *results.glob(f"*/{name}"))})
    if not folders:
        raise InputError(
            f"{results}: has no {NAME}", "for example biocnn verify results/reb1; the report step writes it"
        )
    lines = []
    for folder in folders:
        try:
            manifest, found = read_manifest(folder / NAME), verified(folder, _root(folder), data_root)
        except InputError as error:
            lines.append(error.message)
            continue
        words = f"{len(found)} different" if found else "all as in the manifest"
        inputs, outputs = plural(len(manifest["inputs"]), "input"), plural(len(manifest["outputs"]), "output")
        log.info("%s: %s and %s: %s", folder, inputs, outputs, words)
        for line in changed_surroundings(manifest):
            log.info("%s: %s", folder, line)
        lines += [f"{folder}: {line}" for line in found]
    if lines:
        raise InputError(
            "\n".join([f"{plural(len(lines), 'difference')} from the manifest:", *lines]),
            "run snakemake again to make these files from the present inputs, or restore them from a copy; if the data "
            "were moved, name their folder: --data-root",
        )


def rerun(
    manifest: Path, out: Path, *, cores: str | None = None, data_root: Path | None = None, gpus: int | None = None
) -> None:
    """Run the experiment of MANIFEST again in the folder OUT, and name the first step whose outputs differ.

    The exit status is 2 if an input or an output differs. Outputs that contain dates are not compared.
    """
    from biocnn.config.experiment import replaced
    from biocnn.workflow.invocation import under_results
    from biocnn.workflow.manifest import (
        NAME,
        changed_inputs,
        changed_surroundings,
        first_difference,
        read_manifest,
        relocated,
    )

    old, root = read_manifest(manifest), _root(manifest.parent)
    now, name = relocated(old, data_root)["inputs"], old["experiment"]
    own = [key for key, given in now.items() if not under_results(Path(given["path"]))]
    check_name(name, manifest)
    for path in (out / "results" / name, out / f"{name}.yaml"):
        if path.exists():
            raise InputError(f"{path}: already exists", "choose another folder")
    if lines := changed_inputs({"inputs": {key: now[key] for key in own}}, root):
        remedy = "restore them from a copy; if the data were moved, name their folder: --data-root"
        raise InputError("\n".join(["inputs differ from the manifest:", *lines]), remedy)
    for line in (surroundings := changed_surroundings(old)):
        log.info("%s", line)
    paths = {old["inputs"][key]["path"]: os.path.abspath(root / now[key]["path"]) for key in own}
    with atomic(out / f"{name}.yaml") as path:  # JSON is YAML
        path.write_text(json.dumps(replaced(old["settings"], paths), indent=1), encoding="utf-8")
    command = snakemake_command([f"{name}.yaml"], cores, None, gpus, False, [])
    folders = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])  # of the user's own modules
    status = subprocess.run(command, cwd=out, env={**environment(), "PYTHONPATH": folders}).returncode
    if status:
        raise InputError(f"{out}: the workflow ended with status {status}", "see its messages above")
    step, files = first_difference(old, read_manifest(out / "results" / name / NAME))
    if step:
        reasons = "; ".join(surroundings) or "code, versions and processor are the same"
        raise InputError(f"the first step whose outputs differ is {step}: {'; '.join(files)}", reasons)
    log.info("%s: the same outputs as in %s", out / "results" / name, manifest)


def _root(folder: Path) -> Path:
    """Return the folder that the workflow ran in, given that of an experiment."""
    return Path(os.path.abspath(folder)).parent.parent  # not resolved: results may be a link to another disk
