# Predictions of all runs -> metrics with intervals.


rule evaluate:
    input:
        config=ancient(W.config_of),
        dataset="results/{experiment}/dataset",
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
        predictions=W.of_runs("results/{experiment}/runs/{run}/predictions"),
    output:
        metrics="results/{experiment}/metrics.tsv",
        per_example="results/{experiment}/metrics_per_example.tsv",
    log:
        "results/{experiment}/logs/evaluate.log",
    benchmark:
        "results/{experiment}/benchmarks/evaluate.tsv"
    params:
        settings=W.depends("metrics"),
        runs=W.of_runs("results/{experiment}/runs/{run}"),
        root=W.data_root,
    shell:
        "biocnn evaluate {input.config:q} {input.dataset} {output.metrics} {output.per_example} {params.runs}"
        " --data-root {params.root:q} 2>&1 | tee {log}"
