# Raw data -> checks -> arrays.


rule simulate:
    output:
        directory("results/demo/{kind}"),
    log:
        "results/logs/simulate-{kind}.log",
    benchmark:
        "results/benchmarks/simulate-{kind}.tsv"
    resources:
        **W.resources("simulate"),
    params:
        code=W.code("simulate"),
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn simulate {wildcards.kind:q} {output:q}"


rule genome:
    input:
        W.made_fasta,
    output:
        directory("results/genomes/{genome}"),
    log:
        "results/logs/genome-{genome}.log",
    benchmark:
        "results/benchmarks/genome-{genome}.tsv"
    resources:
        **W.resources("genome"),
    params:
        contents=W.fasta_contents,
        code=W.code("genome"),
        fasta=W.fasta,
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn genome {params.fasta:q} {output:q}"


rule check:
    input:
        made=W.made("data"),
        genome=W.genome,
    output:
        raw=directory("results/{experiment}/raw"),
        checks="results/{experiment}/checks.tsv",
        doctor=directory("results/{experiment}/doctor"),
    log:
        "results/{experiment}/logs/check.log",
    benchmark:
        "results/{experiment}/benchmarks/check.tsv"
    group:
        "prepare-{experiment}"
    resources:
        **W.resources("check"),
    params:
        settings=W.depends("seed", "data"),
        code=W.code("check", "data"),
        config="results/{experiment}/experiment.json",
        genome=W.genome_option,
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn check {params.config:q} {output.raw:q} {output.checks:q} --doctor {output.doctor:q} {params.genome:q}"


rule dataset:
    input:
        "results/{experiment}/raw",
    output:
        directory("results/{experiment}/dataset"),
    log:
        "results/{experiment}/logs/dataset.log",
    benchmark:
        "results/{experiment}/benchmarks/dataset.tsv"
    group:
        "prepare-{experiment}"
    resources:
        **W.resources("dataset"),
    params:
        settings=W.depends("seed", "data", "split"),
        code=W.code("dataset"),
        config="results/{experiment}/experiment.json",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn dataset {params.config:q} {input:q} {output:q}"
