# Motifs and attributions, or activation maps, of the first run.


rule explain:
    input:
        dataset="results/{experiment}/dataset",
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
        predictions=W.of_runs("results/{experiment}/runs/{run}/predictions"),
        made=W.made("explain"),
    output:
        directory("results/{experiment}/explain"),
    log:
        "results/{experiment}/logs/explain.log",
    benchmark:
        "results/{experiment}/benchmarks/explain.tsv"
    threads: W.threads
    resources:
        gpu=W.gpus,
    params:
        settings=W.depends("explain"),
        code=W.code("explain", "model"),
        runs=W.of_runs("results/{experiment}/runs/{run}"),
        config=W.config_of,
    shell:
        "biocnn explain {params.config:q} {input.dataset:q} {params.runs[0]:q} {output:q} 2>&1 | tee {log:q}"
