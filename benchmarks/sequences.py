"""Accuracy on public sequence sets, compared with simple models.

``python -m benchmarks.sequences --data DIR [EXPERIMENT ...]`` runs experiments of config/experiments with the workflow,
and each set again with a typical small network and without any settings; then it writes
benchmarks/results/sequences.json and the tables of docs/results_sequences.md.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from benchmarks.accuracy import ask, renew, run_workflow, write_between
from benchmarks.data import ROOT
from biocnn.training.metadata import read_metadata

WORK, PAGE = ROOT / "benchmarks" / "data" / "sequences", ROOT / "docs" / "results_sequences.md"
RESULTS = ROOT / "benchmarks" / "results" / "sequences.json"
BEGIN, END = "<!-- made by python -m benchmarks.sequences -->", "<!-- end -->"
# Per experiment: name of the set, and the factor's own matrix in the motif database.
SETS = {
    "encode_ctcfl": ("CTCFL, K562", "CTCFL"),
    "encode_gabpa": ("GABPA, GM12878", "GABPA"),
    "encode_rest": ("REST, GM12878", "REST"),
    "encode_usf1": ("USF1, HepG2", "USF1"),
    "clip_ago2": ("AGO2, CLIP", None),
    "clip_hnrnpc": ("HNRNPC, CLIP", "HNRNPC"),
    "clip_pum2": ("PUM2, CLIP", "PUM2"),
    "clip_qki": ("QKI, CLIP", "QKI"),
    "clip_tdp43": ("TDP43, CLIP", "TARDBP"),
    "reb1": ("Reb1, yeast", "REB1"),
    "abf1": ("Abf1, yeast", "ABF1"),
    "rap1": ("Rap1, yeast", "RAP1"),
    "cbf1": ("Cbf1, yeast", "CBF1"),
    "ctcf_chr20": ("CTCF, K562, chr20", "CTCF"),
    "random_promoters": ("random promoters, yeast", None),
}
BASELINES = ("GC content", "dinucleotides", "6-mers")
SMALL = {"name": "DeepBind", "channels": 32, "kernel_size": 24, "pool": "both", "hidden": 32}
SMALL_TRAIN = {"seeds": [1, 2, 3], "epochs": 20, "batch_size": 64, "threads": 1}
METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "pearson": "Pearson r"}
HEAD = (
    "set", "metric", *BASELINES, "small CNN", "tuned file", "no settings at all", "its ensemble (95%)",
    "gain over best",
)  # fmt: skip
CHOICE = ("set", "network chosen: its share in each mixture with words", "choice and three trainings", "motif")


def main() -> None:
    """Run the requested experiments, and update the table."""
    arguments = ask(__doc__, SETS)
    WORK.mkdir(parents=True, exist_ok=True)
    names = arguments.experiments
    variants = [str(write(name)) for name in names for write in (_small, _bare)]
    run_workflow(WORK, [*names, *variants], arguments.data, arguments.cores)
    write_page(renew(RESULTS, SETS, partial(read, WORK / "results"), names))


def _small(name: str) -> Path:
    """Write the experiment with a small network and plain settings."""
    experiment = _experiment(name)
    strands = "single" if experiment["data"].get("alphabet") == "RNA" or name == "random_promoters" else "both"
    plain = {"words": "none", "first_kernels": "random"}
    changed = {"model": SMALL | {"strands": strands}, "train": SMALL_TRAIN | plain, "explain": {"examples": 0}}
    return _write(f"small_{name}", experiment | changed)


def _bare(name: str) -> Path:
    """Write the experiment with nothing but its data; three seeds, one thread each."""
    kept = {key: value for key, value in _experiment(name).items() if key in ("seed", "data", "split", "explain")}
    return _write(f"auto_{name}", kept | {"train": {"seeds": [1, 2, 3], "threads": 1}})


def _experiment(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config" / "experiments" / f"{name}.yaml").read_text())


def _write(name: str, experiment: dict[str, Any]) -> Path:
    path = WORK / f"{name}.yaml"
    path.write_text(yaml.safe_dump(experiment, sort_keys=False))
    return path


def read(results: Path, name: str) -> dict[str, Any]:
    """Read the metrics and motifs of a set."""
    tuned, small = (_audit(results / folder) for folder in (name, f"small_{name}"))
    rows = []
    for metric, about in tuned.groupby("metric", sort=False):
        if metric in METRICS:
            compared = small[small["metric"] == metric].iloc[0]
            found = {"metric": metric, **about.set_index("baseline")["value"].to_dict()}
            found |= {"small": [compared["mean_of_runs"], compared["sd_of_runs"]]}
            rows.append(found | {"ours": [about["mean_of_runs"].iloc[0], about["sd_of_runs"].iloc[0]]})
    counts = json.loads((results / name / "dataset" / "facts.json").read_text())["n"]
    return {"rows": rows, "n": counts} | read_bare(results / f"auto_{name}", SETS[name][1])


def read_bare(folder: Path, own: str | None) -> dict[str, Any]:
    """Read the results of a set without settings: metrics, the network chosen, minutes, and motifs."""
    audit, metrics = _audit(folder), _test(pd.read_csv(folder / "metrics.tsv", sep="\t"))
    ensemble, bare = metrics[metrics["run"] == "ensemble"].set_index("metric"), {}
    for metric, about in audit.groupby("metric", sort=False):
        if metric in METRICS:
            one = [about["mean_of_runs"].iloc[0], about["sd_of_runs"].iloc[0]]
            bare[metric] = {"one": one, "ensemble": ensemble.loc[metric, ["value", "low", "high"]].tolist()}
    metas = [read_metadata(path) for path in sorted(folder.glob("runs/*/model.safetensors"))]
    model, shares = metas[0].experiment.model, [meta.words.share[0] if meta.words else 1.0 for meta in metas]
    settings = [f"{key} {getattr(model, key)}" for key in ("kernel_size", "pool") if hasattr(model, key)]
    steps = [pd.read_csv(path, sep="\t")["s"].sum() for path in folder.glob("benchmarks/*.tsv")]
    chosen = {"network": f"{model.name} ({', '.join(settings)})", "shares": shares, "minutes": float(sum(steps)) / 60}
    return {"bare": bare, "chosen": chosen, **_motif(folder / "explain", own)}


def _audit(folder: Path) -> pd.DataFrame:
    return _test(pd.read_csv(folder / "audit.tsv", sep="\t"))


def _test(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["split"] == "test"]


def _motif(folder: Path, own: str | None) -> dict[str, Any]:
    """Return the first motif of kernels and attributions, and their similarity to the factor's own matrix."""
    found = {}
    similar = pd.read_csv(folder / "similar_motifs.tsv", sep="\t")
    for kind, table in (("kernels", "matches"), ("attributions", "seqlet_matches")):
        motifs = pd.read_csv(folder / f"{table}.tsv", sep="\t")
        if not len(motifs) or "target_name" not in motifs:
            continue
        top = motifs.iloc[0]
        same = similar[
            (similar["motif"] == top["motif"]) & similar["target_name"].str.upper().str.startswith(own or "-")
        ]
        q = float(same["q_value"].min()) if len(same) else None
        found[kind] = {"like": top["target_name"], "q": float(top["q_value"]), "own": own, "own_q": q}
    return found


def write_page(result: dict[str, Any]) -> None:
    """Replace the text between the markers of the page."""
    lines, chosen = [HEAD], [CHOICE]
    for name, found in result.items():
        for i, row in enumerate(found["rows"]):
            lines.append(_line(SETS[name][0] if i == 0 else "", row, found.get("bare", {}).get(row["metric"])))
        if "chosen" not in found:  # not run again since experiments may leave out all settings
            continue
        about = found["chosen"]
        shares = ", ".join(f"{share:.2f}" for share in about["shares"])
        chosen.append((SETS[name][0], f"{about['network']}: {shares}", f"{about['minutes']:.0f} min", _named(found)))
    write_between(
        PAGE, BEGIN, END, [lines, chosen], {SETS[name][0]: found["machine"] for name, found in result.items()}
    )


def _line(name: str, row: dict[str, Any], bare: dict[str, list[float]] | None) -> tuple[str, ...]:
    simple = [f"{row[baseline]:.3f}" for baseline in BASELINES]
    networks = [f"{m:.3f} ± {s:.3f}" for m, s in (row["small"], row["ours"])]
    if bare is None:
        return (name, METRICS[row["metric"]], *simple, *networks, "", "", "")
    (mean, sd), (value, low, high) = bare["one"], bare["ensemble"]
    best = max(row["small"][0], row["ours"][0], *(row[baseline] for baseline in BASELINES))
    margin = f"{mean - best:+.3f}" + (" (within the spread)" if abs(mean - best) < sd else "")
    found = (f"{mean:.3f} ± {sd:.3f}", f"{value:.3f} ({low:.3f}-{high:.3f})", margin)
    return (name, METRICS[row["metric"]], *simple, *networks, *found)


def _named(found: dict[str, Any]) -> str:
    parts = []
    for kind in ("kernels", "attributions"):
        if kind in found:
            about = found[kind]
            own = f"; {about['own']} q = {about['own_q']:.0e}" if about["own_q"] is not None else ""
            parts.append(f"{kind}: {about['like']} (q = {about['q']:.0e}{own})")
    return "<br>".join(parts)


if __name__ == "__main__":
    main()
