"""What editors need to complete and check the file of an experiment."""

import json
from pathlib import Path

from biocnn.core.files import atomic


def schema(out: Path) -> None:
    """Write the JSON schema of experiments, with which editors complete and check their files."""
    from biocnn.config.json_schema import experiment_schema

    with atomic(out) as temporary:
        temporary.write_text(json.dumps(experiment_schema(), indent=1) + "\n", encoding="utf-8")
