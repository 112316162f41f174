# A report per experiment, and a summary of all.


rule report:
    input:
        checks="results/{experiment}/checks.tsv",
        dataset="results/{experiment}/dataset",
        models=W.of_runs("results/{experiment}/runs/{run}/model.safetensors"),
        histories=W.of_runs("results/{experiment}/runs/{run}/history.tsv"),
        predictions=W.of_runs("results/{experiment}/runs/{run}/predictions"),
        metrics="results/{experiment}/metrics.tsv",
        per_example="results/{experiment}/metrics_per_example.tsv",
        audit="results/{experiment}/audit.tsv",
        decided="results/{experiment}/decided.npz",
        errors="results/{experiment}/errors.tsv",
        made=W.made("report"),
        negatives=W.negatives,
        curve=W.learning_curves,
        explain="results/{experiment}/explain",
        features=W.features,
        uncertainty=W.uncertainties,
        apply=W.applied,
        calibration=W.calibrations,
        variants=W.variants,
        scan=W.scans,
    output:
        page=report(
            "results/{experiment}/report.html",
            caption="../report/experiment.rst",
            category="Experiments",
            labels={"experiment": "{experiment}"},
        ),
        figures=directory("results/{experiment}/figures"),
        manifest="results/{experiment}/manifest.json",
        crate="results/{experiment}/ro-crate-metadata.json",
    log:
        "results/{experiment}/logs/report.log",
    benchmark:
        "results/{experiment}/benchmarks/report.tsv"
    group:
        "assess-{experiment}"
    resources:
        **W.resources("report"),
    params:
        settings=W.depends("report"),
        code=W.code("report"),
        config="results/{experiment}/experiment.json",
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn report {params.config:q} {output.page:q} {output.figures:q}"
        " --manifest {output.manifest:q}"


rule summary:
    input:
        pages=expand("results/{experiment}/report.html", experiment=W.names),
    output:
        tsv="results/summary.tsv",
        page=report(
            "results/index.html", caption="../report/summary.rst", category="Summary"
        ),
        trainings="results/runs.tsv",
    log:
        "results/logs/summary.log",
    benchmark:
        "results/benchmarks/summary.tsv"
    resources:
        **W.resources("summary"),
    params:
        code=W.code("summary"),
    shell:
        "attempt {log:q} {resources.mem_mb} {resources.runtime}"
        " biocnn summary {output.tsv:q} {output.page:q} {output.trainings:q} {input.pages:q}"
