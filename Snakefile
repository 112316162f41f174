"""biocnn: from a genome and peaks, or images and masks, to a trained, audited and explained network.

    snakemake --cores all                                    the two demonstrations
    snakemake --cores 2 --config data_root=DIR experiments=[reb1,abf1]
"""

from biocnn.workflow import headlines, open_workflow


configfile: "config/config.yaml"


container: None


W = open_workflow(config, workflow.basedir)


wildcard_constraints:
    experiment="[^/]+",
    run=r"fold\d+-seed\d+",


include: "workflow/rules/dataset.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/explain.smk"
include: "workflow/rules/segment.smk"
include: "workflow/rules/report.smk"


rule all:
    input:
        "results/summary.tsv",
        "results/index.html",
    default_target: True


onsuccess:
    print(headlines("results/summary.tsv", "results/index.html"))
