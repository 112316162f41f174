# Motifs and attributions, or activation maps, of the first run, and files for genome browsers; vectors of all images.


rule explain:
    input:
        dataset="results/{experiment}/dataset",
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
        predictions=W.of_runs("results/{experiment}/runs/{run}/predictions"),
        made=W.made("explain"),
        genome=W.genome,
    output:
        directory("results/{experiment}/explain"),
    log:
        "results/{experiment}/logs/explain.log",
    benchmark:
        "results/{experiment}/benchmarks/explain.tsv"
    group:
        "assess-{experiment}"
    threads: W.threads
    resources:
        **W.resources("explain"),
        gpu=W.gpus,
    params:
        settings=W.depends("explain", leave=("explain.likeness",)),
        code=W.code("explain", "model"),
        config="results/{experiment}/experiment.json",
        genome=W.genome_option,
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn explain {input.models:q} {input.dataset:q} {output:q} --config {params.config:q} {params.genome:q}"


# Made for the report where explain.likeness is true, and for any run whose folder is requested.
rule features:
    input:
        model="results/{experiment}/runs/{run}/model.safetensors",
        dataset="results/{experiment}/dataset",
    output:
        directory("results/{experiment}/runs/{run}/features"),
    log:
        "results/{experiment}/logs/features-{run}.log",
    benchmark:
        "results/{experiment}/benchmarks/features-{run}.tsv"
    group:
        "assess-{experiment}"
    threads: W.threads
    resources:
        **W.resources("features"),
        gpu=W.gpus,
    params:
        code=W.code("features", "model"),
        config="results/{experiment}/experiment.json",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn features {input.model:q} {input.dataset:q} {output:q} --config {params.config:q}"
