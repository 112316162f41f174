"""biocnn: from a genome and peaks, or images and masks, to a trained, audited and explained network.

snakemake --cores all                                    the two demonstrations
snakemake --cores 2 --config data_root=DIR experiments=[reb1,abf1]
"""

from pathlib import Path

from snakemake.utils import min_version

from biocnn.core.interrupt import interrupt_once
from biocnn.workflow.closing import Closing
from biocnn.workflow.cluster import check_requests
from biocnn.workflow.resources import take_turns
from biocnn.workflow.rules import open_workflow, refuse_containers

# Optional in another working folder; jobs read what the invocation has frozen.
if workflow.is_main_process and Path("config/config.yaml").is_file():

    configfile: "config/config.yaml"


# For catalogues and --lint, which ask for one; biocnn comes from the environment that Snakemake runs in.
container: "docker://condaforge/miniforge3:25.3.0-3"


min_version("9.0")
refuse_containers(workflow)
W = open_workflow(config, workflow.basedir, workflow.is_main_process)
CLOSING = Closing(workflow, W.products)
take_turns(workflow)
shell.prefix(W.attempt)


resource_scopes:
    in_group="local",


# Too short for jobs of their own; only the demonstrations are simulated.
localrules:
    simulate,
    summary,


wildcard_constraints:
    kind="sequences|coverage|nuclei|cells|leukocytes|biopsies",
    genome="[A-Za-z0-9_-]+",
    experiment=r"[A-Za-z0-9_][A-Za-z0-9_.-]*",
    run=r"fold\d+-seed\d+(-share0\.\d+)?",
    fold=r"fold\d+",
    trial=r"trial\d+-part\d+",


include: "workflow/rules/dataset.smk"
include: "workflow/rules/calibrate.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/explain.smk"
include: "workflow/rules/uncertainty.smk"
include: "workflow/rules/apply.smk"
include: "workflow/rules/variants.smk"
include: "workflow/rules/scan.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        "results/summary.tsv",
        "results/index.html",
        "results/runs.tsv",


onstart:
    check_requests(workflow)
    interrupt_once()
    W.freeze()


onsuccess:
    CLOSING.results()


onerror:
    CLOSING.failures(log)
