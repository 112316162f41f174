# New images -> masks or labels and a table of objects, or a table of predictions; by the ensemble of all runs.


rule apply:
    input:
        made=W.made("apply"),
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
    output:
        directory("results/{experiment}/apply"),
    log:
        "results/{experiment}/logs/apply.log",
    benchmark:
        "results/{experiment}/benchmarks/apply.tsv"
    group:
        "assess-{experiment}"
    threads: W.threads
    resources:
        **W.resources("apply"),
        gpu=W.gpus,
    params:
        settings=W.depends("predict", "apply"),
        code=W.code("predict", "model"),
        images=W.file("apply.images"),
        config="results/{experiment}/experiment.json",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn predict {input.models:q} {params.images:q} {output:q} --config {params.config:q}"
