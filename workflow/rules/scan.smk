# A genome -> tracks of probabilities, and peaks, by the ensemble of all runs.


rule scan:
    input:
        genome=W.scanned_genome,
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
    output:
        directory("results/{experiment}/scan"),
    log:
        "results/{experiment}/logs/scan.log",
    benchmark:
        "results/{experiment}/benchmarks/scan.tsv"
    threads: W.threads
    resources:
        **W.resources("scan"),
        gpu=W.gpus,
    params:
        settings=W.depends("scan"),
        code=W.code("scan", "model"),
        config="results/{experiment}/experiment.json",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn scan {input.genome:q} {output:q} {input.models:q} --config {params.config:q}"
