"""Files with genome coordinates: sites, predictions and attributions lie where the genome has their bases."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch
from tiny import experiment, metadata, predicted, stored

from biocnn.config.schema import choose
from biocnn.core.checks import Checks
from biocnn.data.intervals import Intervals
from biocnn.explain.coordinates import clipped, located, on_genome
from biocnn.explain.genome_files import GenomeFiles, averaged, on_plus
from biocnn.explain.request import Request
from biocnn.explain.step import explain_test_part
from biocnn.io.bed import read_bed
from biocnn.io.fasta import reverse_complement
from biocnn.io.genome import Genome, read_genome
from biocnn.prediction.model import Model
from biocnn.training.checkpoint import build_model, save_model

SITE = np.array([3, 3, 0, 1, 1, 1, 2, 2, 0, 1], np.uint8)  # TTACCCGGAC
WINDOW = 50
SECTION = {"name": "DeepBind", "channels": 1, "kernel_size": 10, "strands": "both", "hidden": 0}
ONE_STRAND = {"strands": "single"}


def genome_of(folder: Path) -> tuple[Genome, pd.DataFrame]:
    """Write a genome with sites on both strands, and intervals around them that are read from either strand.

    The first and the last site of each contig lie so close to its end that the window extends beyond it.
    """
    rng, lines, sites = np.random.default_rng(3), [], []
    with open(folder / "g.fa", "w") as fasta:
        for chrom, count in (("chrA", 12), ("chrB", 12), ("chrC", 40)):
            codes = rng.integers(0, 4, 120 * count).astype(np.uint8)
            for i in range(count):
                start = 5 if not i else len(codes) - 14 if i == count - 1 else int(120 * i + rng.integers(40, 60))
                strand, read = "+-"[i % 2], "+-."[i % 3]
                codes[start : start + 10] = SITE if strand == "+" else reverse_complement(SITE)
                sites.append((chrom, start, start + 10, strand))
                middle = start + int(rng.integers(-6, 16))  # intervals are resized to windows around their middles
                lines.append(f"{chrom}\t{max(middle - 4, 0)}\t{min(middle + 4, len(codes))}\tp{i}\t0\t{read}\n")
            fasta.write(f">{chrom}\n{''.join('ACGT'[code] for code in codes)}\n")
    (folder / "p.bed").write_text("".join(lines))
    return read_genome(folder / "g.fa"), pd.DataFrame(sites, columns=["chrom", "start", "end", "strand"])


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Explain a network whose only kernel is the site, on the windows of one contig."""
    folder = tmp_path_factory.mktemp("explained")
    genome, sites = genome_of(folder)
    settings = {"window": WINDOW, "flank": 2, "negatives": {"name": "random", "distance": 5}, "max_unknown": 0.9}
    raw = Intervals(genome=folder / "g.fa", positives=folder / "p.bed", **settings).read(1, Checks())
    dataset = stored(raw, folder, val=["chrA"], test=["chrC"])
    section = choose("models", SECTION, "model")
    network = build_model(section, dataset.facts)
    with torch.no_grad():
        network.features[0].conv.conv.weight.copy_(torch.eye(4)[:, SITE.tolist()][None])
        network.features[0].conv.conv.bias.fill_(-7.0)
        network.head[-1].weight.fill_(2.0)
        network.head[-1].bias.fill_(-3.0)
    save_model(folder / "m.safetensors", network, metadata(section, dataset.facts))
    model, out = Model(folder / "m.safetensors"), folder / "explain"
    for path in (out, folder / "predictions"):
        path.mkdir()
    predicted(model, dataset, folder / "predictions")
    chosen = experiment(SECTION, data="Intervals", explain={"units": 0})
    lines = [*explain_test_part(Request(model, dataset, [folder / "predictions"], chosen, out, genome))]
    return SimpleNamespace(out=out, genome=genome, sites=sites, dataset=dataset, model=model, lines=lines)


def bed(path: Path) -> pd.DataFrame:
    names = ["chrom", "start", "end", "name", "score", "strand", "thick", "thin", "colour"]
    table = pd.read_csv(path, sep="\t", header=None)
    return table.set_axis(names[: table.shape[1]], axis=1)


def test_sites_lie_where_they_were_planted_on_both_strands(explained: SimpleNamespace) -> None:
    table, planted = bed(explained.out / "motif_sites.bed"), explained.sites[explained.sites["chrom"] == "chrC"]
    wanted = set(planted.itertuples(index=False, name=None))
    assert set(table["name"]) == {"seqlets1", "kernel0"}
    for _, sites in table.groupby("name"):
        found = set(sites[["chrom", "start", "end", "strand"]].itertuples(index=False, name=None))
        turned = {(*site[:3], "-+"["+-".index(site[3])]) for site in found}
        best = max(found & wanted, turned & wanted, key=len)  # a motif may be read from either strand
        assert len(best) > 0.9 * len(wanted)
        assert {site[3] for site in best} == {"+", "-"}
    assert table["score"].between(0, 1000).all()
    assert table["start"].min() >= 0
    assert (table["end"] <= table["chrom"].map(explained.genome.contigs)).all()
    assert len(read_bed(explained.out / "motif_sites.bed")) == len(table)
    kernels = pd.read_csv(explained.out / "matches.tsv", sep="\t").set_index("motif")
    assert (table["name"] == "kernel0").sum() == kernels.loc["kernel0", "n_sites"]


def test_predictions_have_the_windows_of_the_examples(explained: SimpleNamespace) -> None:
    examples = explained.dataset.examples
    examples = examples[examples["split"] == "test"]
    table, lines = pd.read_csv(explained.out / "predictions.tsv", sep="\t"), bed(explained.out / "predictions.bed")
    assert table["id"].tolist() == examples["id"].tolist()
    assert (table["target"] == examples["y_0"].to_numpy()).all()
    assert (table["start"] < 0).any(), "a window begins before its contig"
    lengths = table["chrom"].map(explained.genome.contigs)
    assert (table["end"] > lengths).any()
    ordered = table.sort_values(["chrom", "start"])
    assert lines["start"].tolist() == ordered["start"].clip(lower=0).tolist()
    assert lines["end"].tolist() == np.minimum(ordered["end"], lengths[ordered.index]).tolist()
    np.testing.assert_allclose(lines["score"], 1000 * ordered["prediction"], atol=0.51)
    truth = lines["name"].str.extract(r"label=(\d);p=([\d.]+)").astype(float)
    assert truth[0].tolist() == ordered["target"].tolist()
    np.testing.assert_allclose(truth[1], ordered["prediction"], atol=1e-4)
    right = (ordered["prediction"] >= 0.5).to_numpy() == (ordered["target"] == 1).to_numpy()
    assert set(lines["colour"][right]) <= {"0,114,178", "86,180,233"}
    assert set(lines["colour"][~right]) <= {"213,94,0", "230,159,0"}


def test_arrays_have_the_bases_of_the_plus_strand(explained: SimpleNamespace) -> None:
    regions = pd.read_csv(explained.out / "regions.tsv", sep="\t")
    ohe, shap = (np.load(explained.out / f"{name}.npz")["arr_0"] for name in ("ohe", "shap"))
    assert ohe.shape == shap.shape == (len(regions), 4, WINDOW)
    assert set(regions["strand"]) == {"+"}
    for row in regions.itertuples():
        codes = explained.genome.codes(row.chrom, row.start, row.end)
        np.testing.assert_array_equal(ohe[row.region], codes == np.arange(4)[:, None])  # A, C, G, T
    strands = explained.dataset.examples.set_index("id")["strand"][regions["id"]].to_numpy()
    assert {"+", "-", "."} == {*strands}
    peak = (ohe * shap).sum(axis=1).argmax(axis=1) + regions["start"].to_numpy()
    inside = [((explained.sites["start"] <= at) & (explained.sites["end"] > at)).any() for at in peak]
    assert np.mean(inside) > 0.9


def test_the_track_has_the_stored_attributions(explained: SimpleNamespace) -> None:
    regions = pd.read_csv(explained.out / "regions.tsv", sep="\t")
    ohe, shap = (np.load(explained.out / f"{name}.npz")["arr_0"] for name in ("ohe", "shap"))
    shown, total, number = (ohe * shap).sum(axis=1), {}, {}
    for row in regions.itertuples():
        for at in np.flatnonzero(ohe[row.region].any(axis=0)):
            place = (row.chrom, row.start + at)
            total[place] = total.get(place, 0.0) + float(shown[row.region, at])
            number[place] = number.get(place, 0) + 1
    track = pyBigWig.open(str(explained.out / "attributions.bw"))
    assert track.chroms() == explained.genome.contigs
    values = {
        chrom: track.values(chrom, 0, length) for chrom, length in explained.genome.contigs.items() if chrom == "chrC"
    }
    known = {("chrC", at) for at in np.flatnonzero(np.isfinite(values["chrC"])).tolist()}
    assert known == {*total}
    np.testing.assert_allclose([values[c][at] for c, at in total], [total[p] / number[p] for p in total], atol=1e-6)
    track.close()


def test_files_are_listed_with_their_numbers(explained: SimpleNamespace) -> None:
    table = pd.read_csv(explained.out / "files.tsv", sep="\t").set_index("file")
    assert table.loc["motif_sites.bed", "number"] == len(bed(explained.out / "motif_sites.bed"))
    assert table.loc["predictions.bed", "number"] == len(bed(explained.out / "predictions.bed"))
    names = {name for file in table.index for name in file.split(", ")}
    assert names <= {path.name for path in explained.out.iterdir()}


def test_predictions_around_examples_are_those_of_windows(explained: SimpleNamespace) -> None:
    view = np.load(explained.out / "genome_view.npz")
    examples = explained.dataset.examples.set_index("id")
    for name, at, prediction in zip(view["id"], view["at"], view["prediction"], strict=True):
        window = examples.loc[name]
        codes = explained.genome.codes(window["chrom"], window["start"], window["end"])
        middle = np.flatnonzero(at == window["start"] + WINDOW // 2)
        np.testing.assert_allclose(prediction[middle], explained.model.predict(codes[None])[0, 0], atol=1e-5)


def test_predictions_around_an_example_are_of_its_strand(explained: SimpleNamespace, tmp_path: Path) -> None:
    dataset, genome, section = explained.dataset, explained.genome, choose("models", SECTION | ONE_STRAND, "model")
    save_model(tmp_path / "m.safetensors", build_model(section, dataset.facts), metadata(section, dataset.facts))
    model, examples = Model(tmp_path / "m.safetensors"), dataset.examples.set_index("id")
    name = examples.index[(examples["split"] == "test") & (examples["strand"] == "-")][0]
    GenomeFiles(tmp_path, dataset, genome)._view({"id": np.array([name]), "output": np.array([0])}, model)
    view, window = np.load(tmp_path / "genome_view.npz"), examples.loc[name]
    codes = reverse_complement(genome.codes(window["chrom"], window["start"], window["end"]))
    found = view["prediction"][0][view["at"][0] == window["start"] + WINDOW // 2]
    np.testing.assert_allclose(found, model.predict(codes[None])[0], atol=1e-5)


def test_without_a_genome_contigs_end_with_their_last_window(explained: SimpleNamespace, tmp_path: Path) -> None:
    dataset, model = explained.dataset, explained.model
    (tmp_path / "explain").mkdir()
    predicted(model, dataset, tmp_path)
    settings = experiment(SECTION, data="Intervals", explain={"units": 0, "regions": 20})
    list(explain_test_part(Request(model, dataset, [tmp_path], settings, tmp_path / "explain")))
    regions = pd.read_csv(tmp_path / "explain" / "regions.tsv", sep="\t")
    assert len(regions) == 20
    track = pyBigWig.open(str(tmp_path / "explain" / "attributions.bw"))
    assert track.chroms() == {"chrC": regions["end"].max()}
    track.close()
    assert not (tmp_path / "explain" / "genome_view.npz").exists()


def test_sites_are_turned_with_their_windows() -> None:
    examples = pd.DataFrame(
        {"id": ["a", "b", "c", "d"], "chrom": "chr1", "start": [100, 100, 7, 0], "end": [150, 150, 57, 51]}
    ).assign(strand=["+", "-", ".", "+"], shuffled_from=[None, None, "a", None])
    windows = located(examples, np.full(4, 50))
    assert windows.index.tolist() == ["a", "b"], (
        "shuffled sequences, and those of another length, are not in the genome"
    )
    sites = pd.DataFrame({"id": ["a", "b", "b", "c"], "start": 3, "end": 13, "strand": ["-", "+", ".", "+"]})
    found = on_genome(sites, windows)
    assert found[["start", "end", "strand"]].to_numpy().tolist() == [[103, 113, "-"], [137, 147, "-"], [137, 147, "."]]
    edges = pd.DataFrame({"chrom": "chr1", "start": [-5, 195, 300], "end": [5, 205, 310]})
    assert clipped(edges, {"chr1": 200})[["start", "end"]].to_numpy().tolist() == [[0, 5], [195, 200]]
    assert clipped(edges, None)["start"].tolist() == [0, 195, 300]
    assert located(pd.DataFrame({"id": ["a"]}), np.array([3])).empty


def test_bases_that_several_windows_cover_have_their_mean() -> None:
    place = pd.DataFrame({"chrom": ["b", "a", "a"], "start": [0, -1, 1], "end": [3, 2, 4], "strand": ["+", "-", "+"]})
    codes, values = np.array([[0, 4, 1], [0, 1, 2], [3, 3, 3]]), np.arange(9.0).reshape(3, 3)
    tracks = averaged(codes, values, place, {"a": 3, "b": 9})
    assert [(chrom, at.tolist(), mean.tolist(), number.tolist()) for chrom, at, mean, number in tracks] == [
        ("a", [0, 1, 2], [4.0, 4.5, 7.0], [1, 2, 1]),
        ("b", [0, 2], [0.0, 2.0], [1, 1]),
    ]
    turned, flipped = on_plus(codes, np.eye(4)[None, :, :3].repeat(3, 0), np.array([False, True, False]))
    assert turned.tolist() == [[0, 4, 1], [1, 2, 3], [3, 3, 3]]
    np.testing.assert_array_equal(flipped[1], np.eye(4)[::-1, :3][:, ::-1])
