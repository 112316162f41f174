# Uncertainty of pixels, objects and images; and which images to annotate next.


rule uncertainty:
    input:
        dataset="results/{experiment}/dataset",
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
        predictions=W.of_runs("results/{experiment}/runs/{run}/predictions"),
        decided="results/{experiment}/decided.npz",
        made=W.made("apply"),
    output:
        directory("results/{experiment}/uncertainty"),
    log:
        "results/{experiment}/logs/uncertainty.log",
    benchmark:
        "results/{experiment}/benchmarks/uncertainty.tsv"
    group:
        "assess-{experiment}"
    threads: W.threads
    resources:
        **W.resources("uncertainty"),
        gpu=W.gpus,
    params:
        settings=W.depends("uncertainty", "apply"),
        code=W.code("uncertainty", "model"),
        runs=W.of_runs("results/{experiment}/runs/{run}"),
        config="results/{experiment}/experiment.json",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn uncertainty {params.config:q} {input.dataset:q} {input.decided:q} {output:q} {params.runs:q}"
