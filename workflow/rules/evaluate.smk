# Baseline models on the same examples; predictions of all runs -> metrics with confidence intervals; other negatives.


rule baselines:
    input:
        dataset="results/{experiment}/dataset",
    output:
        directory("results/{experiment}/baselines"),
    log:
        "results/{experiment}/logs/baselines.log",
    benchmark:
        "results/{experiment}/benchmarks/baselines.tsv"
    group:
        "assess-{experiment}"
    resources:
        **W.resources("baselines"),
    params:
        settings=W.depends("augment", "model"),
        code=W.code("baselines", "model", "augment"),
        config="results/{experiment}/experiment.json",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn baselines {params.config:q} {input.dataset:q} {output:q}"


rule evaluate:
    input:
        dataset="results/{experiment}/dataset",
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
        predictions=W.of_runs("results/{experiment}/runs/{run}/predictions"),
        baselines="results/{experiment}/baselines",
    output:
        metrics="results/{experiment}/metrics.tsv",
        per_example="results/{experiment}/metrics_per_example.tsv",
        audit="results/{experiment}/audit.tsv",
        matches="results/{experiment}/matches.tsv",
        decided="results/{experiment}/decided.npz",
        errors="results/{experiment}/errors.tsv",
    log:
        "results/{experiment}/logs/evaluate.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate.tsv"
    group:
        "assess-{experiment}"
    resources:
        **W.resources("evaluate"),
    params:
        settings=W.depends("metrics"),
        code=W.code("evaluate", "model"),
        runs=W.of_runs("results/{experiment}/runs/{run}"),
        config="results/{experiment}/experiment.json",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn evaluate {params.config:q} {input.dataset:q} {input.baselines:q} {output.metrics:q} {output.per_example:q}"
        " {output.audit:q} {output.matches:q} {output.decided:q} {output.errors:q} {params.runs:q}"


rule curve:
    input:
        dataset="results/{experiment}/dataset",
        metrics="results/{experiment}/metrics.tsv",
        models=W.of_shares("results/{experiment}/runs/{run}/model.safetensors"),
        predictions=W.of_shares("results/{experiment}/runs/{run}/predictions"),
    output:
        "results/{experiment}/learning_curve.tsv",
    log:
        "results/{experiment}/logs/curve.log",
    benchmark:
        "results/{experiment}/benchmarks/curve.tsv"
    group:
        "assess-{experiment}"
    resources:
        **W.resources("curve"),
    params:
        settings=W.depends("metrics"),
        code=W.code("curve", "model"),
        runs=W.of_shares("results/{experiment}/runs/{run}"),
        config="results/{experiment}/experiment.json",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn curve {params.config:q} {input.dataset:q} {input.metrics:q} {output:q} {params.runs:q}"


rule negatives:
    input:
        made=W.made("data"),
        genome=W.genome,
        dataset="results/{experiment}/dataset",
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
        predictions=W.of_runs("results/{experiment}/runs/{run}/predictions"),
        baselines="results/{experiment}/baselines",
    output:
        "results/{experiment}/negatives.tsv",
    log:
        "results/{experiment}/logs/negatives.log",
    benchmark:
        "results/{experiment}/benchmarks/negatives.tsv"
    group:
        "assess-{experiment}"
    threads: W.threads
    resources:
        **W.resources("negatives"),
        gpu=W.gpus,
    params:
        settings=W.depends("seed", "data", "metrics"),
        code=W.code("negatives", "data", "model"),
        runs=W.of_runs("results/{experiment}/runs/{run}"),
        config="results/{experiment}/experiment.json",
        genome=W.genome_option,
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn negatives {params.config:q} {input.dataset:q} {input.baselines:q} {output:q} {params.runs:q}"
        " {params.genome:q}"
