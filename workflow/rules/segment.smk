# New images -> masks, labels and a table of objects, by the ensemble of all runs.


rule segment:
    input:
        made=W.made("segment"),
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
    output:
        directory("results/{experiment}/segment"),
    log:
        "results/{experiment}/logs/segment.log",
    benchmark:
        "results/{experiment}/benchmarks/segment.tsv"
    threads: W.threads
    resources:
        gpu=W.gpus,
    params:
        settings=W.depends("predict", "segment"),
        code=W.code("segment", "model"),
        images=W.file("segment.images"),
        config=W.config_of,
    shell:
        "biocnn segment {params.images:q} {output:q} {input.models:q} --config {params.config:q}"
        " 2>&1 | tee {log:q}"
