# Variants -> predicted effects, by the ensemble of all runs.


rule variants:
    input:
        made=W.made("variants"),
        genome=W.variants_genome,
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
    output:
        directory("results/{experiment}/variants"),
    log:
        "results/{experiment}/logs/variants.log",
    benchmark:
        "results/{experiment}/benchmarks/variants.tsv"
    group:
        "assess-{experiment}"
    threads: W.threads
    resources:
        **W.resources("variants"),
        gpu=W.gpus,
    params:
        settings=W.depends("seed", "variants"),
        code=W.code("variants", "model"),
        vcf=W.file("variants.vcf"),
        config="results/{experiment}/experiment.json",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn variants {params.vcf:q} {output:q} {input.models:q} --genome {input.genome:q}"
        " --config {params.config:q}"
