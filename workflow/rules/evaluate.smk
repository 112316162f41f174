# Simple models of the same examples; predictions of all runs -> metrics with intervals.


rule baselines:
    input:
        config=ancient(W.config_of),
        dataset="results/{experiment}/dataset",
    output:
        directory("results/{experiment}/baselines"),
    log:
        "results/{experiment}/logs/baselines.log",
    benchmark:
        "results/{experiment}/benchmarks/baselines.tsv"
    params:
        settings=W.depends("augment", "model"),
        root=W.data_root,
    shell:
        "biocnn baselines {input.config:q} {input.dataset:q} {output:q} --data-root={params.root:q} 2>&1 | tee {log:q}"


rule evaluate:
    input:
        config=ancient(W.config_of),
        dataset="results/{experiment}/dataset",
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
        predictions=W.of_runs("results/{experiment}/runs/{run}/predictions"),
        baselines="results/{experiment}/baselines",
    output:
        metrics="results/{experiment}/metrics.tsv",
        per_example="results/{experiment}/metrics_per_example.tsv",
        audit="results/{experiment}/audit.tsv",
        matches="results/{experiment}/matches.tsv",
    log:
        "results/{experiment}/logs/evaluate.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate.tsv"
    params:
        settings=W.depends("metrics"),
        runs=W.of_runs("results/{experiment}/runs/{run}"),
        root=W.data_root,
    shell:
        "biocnn evaluate {input.config:q} {input.dataset:q} {input.baselines:q} {output.metrics:q} {output.per_example:q}"
        " {output.audit:q} {output.matches:q} {params.runs:q} --data-root={params.root:q} 2>&1 | tee {log:q}"
