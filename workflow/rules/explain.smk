# Motifs and attributions, or activation maps, of the first run.


rule explain:
    input:
        config=ancient(W.config_of),
        dataset="results/{experiment}/dataset",
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
        database=W.database,
    output:
        directory("results/{experiment}/explain"),
    log:
        "results/{experiment}/logs/explain.log",
    benchmark:
        "results/{experiment}/benchmarks/explain.tsv"
    threads: W.setting("train", "threads")
    resources:
        gpu=W.gpus,
    params:
        settings=W.depends("explain"),
        root=W.data_root,
    shell:
        "biocnn explain {input.config:q} {input.dataset:q} {input.models[0]:q} {output:q}"
        " --data-root={params.root:q} 2>&1 | tee {log:q}"
