# How sure the networks are: of pixels, objects and images; and which images to annotate next.


rule uncertainty:
    input:
        config=ancient(W.config_of),
        dataset="results/{experiment}/dataset",
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
        predictions=W.of_runs("results/{experiment}/runs/{run}/predictions"),
        images=W.unlabelled,
    output:
        directory("results/{experiment}/uncertainty"),
    log:
        "results/{experiment}/logs/uncertainty.log",
    benchmark:
        "results/{experiment}/benchmarks/uncertainty.tsv"
    threads: W.setting("train", "threads")
    resources:
        gpu=W.gpus,
    params:
        settings=W.depends("uncertainty", "segment"),
        runs=W.of_runs("results/{experiment}/runs/{run}"),
        root=W.data_root,
    shell:
        "biocnn uncertainty {input.config:q} {input.dataset:q} {output:q} {params.runs:q}"
        " --data-root={params.root:q} 2>&1 | tee {log:q}"
