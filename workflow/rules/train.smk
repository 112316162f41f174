# One job per run: a run is a fold and a seed, and for a learning curve a share of the training split.


rule train:
    input:
        dataset="results/{experiment}/dataset",
        made=W.made("model", "train"),
        settings=W.best_settings,
    output:
        model="results/{experiment}/runs/{run}/model.safetensors",
        history="results/{experiment}/runs/{run}/history.tsv",
    log:
        "results/{experiment}/logs/train-{run}.log",
    benchmark:
        "results/{experiment}/benchmarks/train-{run}.tsv"
    threads: W.threads
    resources:
        **W.resources("train"),
        gpu=W.gpus,
    params:
        settings=W.depends(
            "seed",
            "data",
            "split",
            "augment",
            "model",
            "loss",
            "train",
            # The name of a run has its share.
            leave=(
                "train.seeds",
                "train.learning_curve",
                "train.save_minutes",
                "train.workers",
            ),
        ),
        code=W.code("train", "model", "loss", "augment"),
        config="results/{experiment}/experiment.json",
        chosen=W.settings_option,
        command=W.train_command,
        # Not declared as output, so that Snakemake keeps it if the job fails or is preempted, and the next attempt resumes.
        state="results/{experiment}/runs/{run}/state",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " {params.command:q} train {params.config:q} {input.dataset:q} {wildcards.run:q} {output.model:q}"
        " {output.history:q} {params.chosen:q} --state {params.state:q}"


rule predict:
    input:
        model="results/{experiment}/runs/{run}/model.safetensors",
        dataset="results/{experiment}/dataset",
    output:
        directory("results/{experiment}/runs/{run}/predictions"),
    log:
        "results/{experiment}/logs/predict-{run}.log",
    benchmark:
        "results/{experiment}/benchmarks/predict-{run}.tsv"
    group:
        "assess-{experiment}"
    threads: W.threads
    resources:
        **W.resources("predict"),
        gpu=W.gpus,
    params:
        settings=W.depends("predict"),
        code=W.code("predict", "model"),
        config="results/{experiment}/experiment.json",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn predict {input.model:q} {input.dataset:q} {output:q} --config {params.config:q}"
