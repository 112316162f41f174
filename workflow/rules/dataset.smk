# Raw data -> checks -> arrays.


rule simulate:
    output:
        directory("results/demo/{kind}"),
    log:
        "results/logs/simulate-{kind}.log",
    benchmark:
        "results/benchmarks/simulate-{kind}.tsv"
    shell:
        "biocnn simulate {wildcards.kind:q} {output:q} 2>&1 | tee {log:q}"


rule genome:
    input:
        W.fasta,
    output:
        directory("results/genomes/{genome}"),
    log:
        "results/logs/genome-{genome}.log",
    benchmark:
        "results/benchmarks/genome-{genome}.tsv"
    params:
        fasta=W.fasta_path,
    shell:
        "biocnn genome {params.fasta:q} {output:q} 2>&1 | tee {log:q}"


rule check:
    input:
        config=ancient(W.config_of),
        raw=W.raw_files,
        genome=W.genome,
    output:
        checks="results/{experiment}/checks.tsv",
        doctor=directory("results/{experiment}/doctor"),
    log:
        "results/{experiment}/logs/check.log",
    benchmark:
        "results/{experiment}/benchmarks/check.tsv"
    params:
        settings=W.depends("data"),
        root=W.data_root,
        genome=W.genome_option,
    shell:
        "biocnn check {input.config:q} {output.checks:q} --doctor {output.doctor:q} --data-root={params.root:q}"
        " {params.genome:q} 2>&1 | tee {log:q}"


rule dataset:
    input:
        config=ancient(W.config_of),
        raw=W.raw_files,
        genome=W.genome,
        checks="results/{experiment}/checks.tsv",
    output:
        directory("results/{experiment}/dataset"),
    log:
        "results/{experiment}/logs/dataset.log",
    benchmark:
        "results/{experiment}/benchmarks/dataset.tsv"
    params:
        settings=W.depends("seed", "data", "split"),
        root=W.data_root,
        genome=W.genome_option,
    shell:
        "biocnn dataset {input.config:q} {output:q} --data-root={params.root:q} {params.genome:q} 2>&1 | tee {log:q}"
