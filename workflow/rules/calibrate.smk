# Random settings, each evaluated on every inner fold of train and val, or candidates; the best ones train the runs.


rule trial:
    input:
        dataset="results/{experiment}/dataset",
        made=W.made("model", "train"),
    output:
        "results/{experiment}/calibrate/{fold}/{trial}.json",
    log:
        "results/{experiment}/logs/calibrate-{fold}-{trial}.log",
    benchmark:
        "results/{experiment}/benchmarks/calibrate-{fold}-{trial}.tsv"
    threads: W.threads
    resources:
        **W.resources("trial"),
        gpu=min(W.gpus, 1),
    params:
        # Not calibrate.trials: finished trials are kept if their number increases.
        settings=W.depends(
            "seed",
            "data",
            "split",
            "augment",
            "model",
            "loss",
            "train",
            "calibrate",
            leave=(
                "train.seeds",
                "train.learning_curve",
                "train.save_minutes",
                "train.workers",
                "calibrate.trials",
            ),
        ),
        code=W.code("trial", "model", "loss", "augment"),
        config="results/{experiment}/experiment.json",
        # Not declared as output, like the state of rule train.
        state="results/{experiment}/calibrate/{fold}/{trial}.state",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn trial {params.config:q} {input.dataset:q} {wildcards.fold:q}-{wildcards.trial:q} {output:q}"
        " --state {params.state:q}"


# Trains, too, if the best two candidates are close; it depends on settings through the trials.
rule calibrate:
    input:
        dataset="results/{experiment}/dataset",
        made=W.made("model", "train"),
        trials=W.trials,
    output:
        table="results/{experiment}/calibrate/{fold}/trials.tsv",
        best="results/{experiment}/calibrate/{fold}/best.json",
    log:
        "results/{experiment}/logs/calibrate-{fold}.log",
    benchmark:
        "results/{experiment}/benchmarks/calibrate-{fold}.tsv"
    threads: W.threads
    resources:
        **W.resources("calibrate"),
        gpu=min(W.gpus, 1),
    params:
        code=W.code("calibrate", "model", "loss", "augment"),
        config="results/{experiment}/experiment.json",
        state="results/{experiment}/calibrate/{fold}/state",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn calibrate {params.config:q} {input.dataset:q} {wildcards.fold:q} {output.table:q} {output.best:q}"
        " {input.trials:q} --state {params.state:q}"
