"""Networks with a signal: what they learn from tracks beside the bases, and that all uses of a model read the same."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch
from bigwigs import bigwig
from tiny import MOTIF, chosen

import biocnn
from biocnn.apply.variants.scoring import Ensemble
from biocnn.core.checks import Checks
from biocnn.core.errors import InputError
from biocnn.data.signal import Signal
from biocnn.evaluation.baselines import fit_sequences
from biocnn.explain import saturation_mutagenesis
from biocnn.explain.deeplift import deep_lift, shuffled_references
from biocnn.explain.sequences import explain_sequences
from biocnn.io.fasta import decode
from biocnn.io.genome import Genome
from biocnn.metrics.vectors import auroc
from biocnn.nn.encode import encoded
from biocnn.report.motifs import logos
from biocnn.training.batches import SequenceBatches, make
from biocnn.workflow import cli

LENGTH, WINDOW, APART = 4000, 31, 40
BASELINES = ["GC content", "dinucleotides", "6-mers", "mean signal", "6-mers + mean signal"]
DATA = {"name": "Intervals", "genome": "genome.fa", "positives": "bound.bed", "window": WINDOW, "flank": 4}
DATA |= {"negatives": {"name": "given", "path": "other.bed"}, "signal": {"open": "open.bw"}}
NET = {"name": "DeepBind", "channels": 8, "kernel_size": 9}
CONTIGS = ("chr1", "chr2", "chr3", "chr4")


class Planted(NamedTuple):
    """Files of windows that are bound where a motif lies and the track is high; the data set, and its network."""

    folder: Path
    genome: Genome
    data: biocnn.Dataset
    model: biocnn.Model


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Of each four windows two are bound, one has a motif where the track is low, and one has none where it is high."""
    folder, rng = tmp_path_factory.mktemp("planted"), np.random.default_rng(1)
    codes = {name: rng.integers(0, 4, LENGTH).astype(np.uint8) for name in CONTIGS}
    tracks = {name: np.full(LENGTH, np.nan) for name in CONTIGS}
    lines: dict[str, list[str]] = {"bound": [], "other": []}
    for name in CONTIGS:
        for i, start in enumerate(range(APART, LENGTH - APART, APART)):
            if i % 4 != 3:
                at = start + rng.integers(0, WINDOW - len(MOTIF))
                codes[name][at : at + len(MOTIF)] = MOTIF
            tracks[name][start : start + WINDOW] = (10 if i % 4 != 1 else 5) + rng.normal(0, 1, WINDOW)
            lines["bound" if i % 4 in (0, 2) else "other"].append(f"{name}\t{start}\t{start + WINDOW}\n")
    for kind, of_kind in lines.items():
        (folder / f"{kind}.bed").write_text("".join(of_kind))
    (folder / "genome.fa").write_text("".join(f">{name}\n{decode(codes[name])}\n" for name in CONTIGS))
    bigwig(folder / "open.bw", tracks)
    data = biocnn.Dataset.from_files(DATA, split={"val": ["chr3"], "test": ["chr4"]}, data_root=folder)
    augment = ["reverse_complement", {"name": "shift", "max": 2}]
    model = biocnn.train(data, NET, augment=augment, epochs=30, batch_size=16, lr=0.01, threads=1, log=None)
    genome = Genome(np.concatenate([*codes.values()]), dict.fromkeys(CONTIGS, LENGTH), {}, "genome.fa")
    return Planted(folder, genome, data, model)


def test_a_rule_of_bases_and_track_is_learned_from_both_only(planted: Planted) -> None:
    data, model = planted.data, planted.model
    rows = data.rows("test")
    y, codes, tracks = data.y.stacked(rows)[:, 0], data.windows(rows), data.signal_of(rows)
    assert auroc(model._sequences(list(codes), signal=tracks)[:, 0], y) >= 0.95
    for without in (model._sequences(list(codes), signal=0 * tracks)[:, 0], tracks.mean((1, 2))):
        assert auroc(without, y) < 0.85
    baselines, held = fit_sequences(data, "both"), np.isin(data.rows("val", "test"), rows)
    scores = {name: auroc(baselines.probability[held, k, 0], y) for k, name in enumerate(BASELINES)}
    assert list(baselines.table["baseline"]) == BASELINES
    assert max(scores["6-mers"], scores["mean signal"]) < 0.85 < 0.95 < scores["6-mers + mean signal"]


@pytest.mark.parametrize("fold", [0, 1])
def test_tracks_are_standardised_by_the_training_split_and_0_where_missing(planted: Planted, fold: int) -> None:
    kept = planted.data
    if fold:
        kept = biocnn.Dataset.from_files(DATA, split={"folds": 4}, data_root=planted.folder)
    data = biocnn.Dataset(kept.folder, fold)
    train = data.signal.stacked(data.rows("train"))[:, 0, 4:-4].astype(float)
    (one,) = data.facts.signal_tracks
    assert (one.name, one.mean, one.sd) == ("open", pytest.approx(train.mean()), pytest.approx(train.std()))
    assert one.covered == 1
    raw, found = data.signal.stacked(data.rows("test")), data.signal_of(data.rows("test"), flanks=True)
    assert np.isnan(raw).any()  # nothing is known between the windows
    assert (found[np.isnan(raw)] == 0).all()
    np.testing.assert_allclose(found[~np.isnan(raw)], (raw[~np.isnan(raw)] - one.mean) / one.sd, atol=1e-5)


def test_augmentations_turn_and_move_a_track_with_its_bases(planted: Planted) -> None:
    """A track of three values that identify three of the four bases keeps to its base."""
    data, device = planted.data, torch.device("cpu")
    batches = make(data, data.rows("val"), device, chosen("reverse_complement", {"name": "shift", "max": 4}))
    assert isinstance(batches, SequenceBatches)
    of_bases = torch.tensor([1.0, 2.0, 2.0, 1.0, 0.0])  # the same for a base and its complement
    batches.signal = of_bases[batches.codes.long()][:, None]
    (index,) = batches.plan(1, 0, len(batches), None)
    x, _ = batches.get(index)
    np.testing.assert_array_equal(x[:, 4], (x[:, :4] * of_bases[:4, None]).sum(1) * (x[:, :4].amax(1) == 1))
    plain, _ = next(batches.plain())
    assert not torch.equal(x, plain[index])


def test_weights_of_a_model_without_the_track_are_refused(planted: Planted) -> None:
    texts = [decode(one) for one in planted.data.windows(np.arange(40))]
    plain = biocnn.train(biocnn.Dataset.from_arrays(texts, [0, 1] * 20), NET, epochs=1, words="none", log=None)
    with pytest.raises(InputError, match=r"takes 4 channels, but the data have 5: 4 bases, and the tracks .*\(open\)"):
        biocnn.train(planted.data, NET, epochs=1, start_from=str(plain.path), log=None)


def test_the_same_windows_have_the_same_predictions_wherever_they_come_from(planted: Planted, tmp_path: Path) -> None:
    data, model, folder = planted.data, planted.model, planted.folder
    rows = data.rows("test")
    stored = np.stack([*model.predict_stored(data, rows)])[:, 0]
    table = data.examples.iloc[rows]
    bed = table.assign(name="new", score=0)[["chrom", "start", "end", "name", "score", "strand"]]
    bed.iloc[::2, 5] = "-"  # a network that reads both strands predicts the same
    bed.loc[-1] = ["chr4", 0, WINDOW, "unknown", 0, "+"]
    bed.to_csv(tmp_path / "new.bed", sep="\t", header=False, index=False)
    options = ["--genome", str(folder / "genome.fa"), "--signal", f"open={folder / 'open.bw'}"]
    assert cli.main(["predict", str(model.path), str(tmp_path / "new.bed"), str(tmp_path / "out"), *options]) == 0
    *_, unknown = (found := pd.read_csv(tmp_path / "out/predictions.csv"))["notes"]
    assert unknown == "open has no value here: the mean of the training split is used"
    found = found[:-1]
    assert found["probability_bound"].to_numpy() == pytest.approx(stored, rel=1e-4, abs=1e-6)
    raw = data.signal.stacked(rows)[:, 0, 4:-4]
    codes = data.windows(rows)
    assert model.predict(codes, signal={"open": raw})[:, 0] == pytest.approx(stored, rel=1e-5, abs=1e-7)
    assert model.predict(decode(codes[0]), signal={"open": raw[0]})[0, 0] == pytest.approx(stored[0], rel=1e-4)
    files = {"open": folder / "open.bw"}
    first = table["start"].min()
    scanned = {
        start: value
        for starts, p in model.scan(planted.genome, "chr4", first, stride=APART, signal=files)
        for start, value in zip(starts.tolist(), p[:, 0], strict=True)
    }
    assert [scanned[start] for start in table["start"]] == pytest.approx(stored, rel=1e-4, abs=1e-6)


def test_bases_are_predicted_with_the_track(planted: Planted, tmp_path: Path) -> None:
    """The bases of a contig, of a scan of it, and of an interval on the other strand have the same predictions."""
    folder, genome, track = planted.folder, planted.genome, planted.folder / "open.bw"
    section = {"name": "AnnotatedGenome", "genome": "genome.fa", "classes": "bound.bed", "window": 64, "context": 16}
    data = biocnn.Dataset.from_files(
        section | {"signal": {"open": track}}, split={"val": ["chr3"], "test": ["chr4"]}, data_root=folder
    )
    model = biocnn.train(data, {"name": "UNet", "channels": [4, 4]}, epochs=1, threads=1, log=None)
    signal = Signal({"open": track}, genome, True, ["chr4"], Checks())
    codes, values = genome.codes("chr4", 500, 900), signal.along("chr4", 500, 900)
    whole = model.predict(codes, signal={"open": values})
    files = ["--signal", f"open={track}"]
    given = [str(folder / "genome.fa"), str(tmp_path / "scan"), str(model.path), "--contigs=chr4"]
    assert cli.main(["scan", *given, *files]) == 0
    with pyBigWig.open(str(tmp_path / "scan/scan.bw")) as handle:
        scanned = handle.values("chr4", 500, 900, numpy=True)
    inside = slice(96, 304)  # beyond, a scan sees what lies around
    np.testing.assert_allclose(whole[0, inside], scanned[inside], atol=1e-3)
    assert np.abs(model.predict(codes, signal={"open": values + 5}) - whole).max() > 1e-3
    (tmp_path / "new.bed").write_text("chr4\t500\t900\tx\t0\t-\n")
    given = [str(model.path), str(tmp_path / "new.bed"), str(tmp_path / "out"), "--genome", str(folder / "genome.fa")]
    assert cli.main(["predict", *given, *files]) == 0
    with np.load(tmp_path / "out/maps.npz") as maps:
        np.testing.assert_allclose(maps["0"][:, ::-1][:, inside], whole[:, inside], atol=1e-3)


def test_variants_are_scored_with_the_track(planted: Planted, tmp_path: Path) -> None:
    model, genome, files = planted.model, planted.genome, planted.folder
    start = APART
    at, bases = start + WINDOW // 2, decode(genome.codes("chr4", 0, LENGTH))
    other = "ACGT"[("ACGT".index(bases[at]) + 1) % 4]
    lines = [
        f"chr4\t{at + 1}\tsnv\t{bases[at]}\t{other}",
        f"chr4\t{at}\tgone\t{bases[at - 1 : at + 1]}\t{bases[at - 1]}",
    ]
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (tmp_path / "v.vcf").write_text(header + "".join(f"{line}\t.\t.\t.\n" for line in lines))
    given = [str(tmp_path / "v.vcf"), str(tmp_path / "out"), str(model.path), "--genome", str(files / "genome.fa")]
    assert cli.main(["variants", *given, "--signal", f"open={files / 'open.bw'}"]) == 0
    (_, p), *_ = model.scan(genome, "chr4", start, start + WINDOW, stride=1, signal={"open": files / "open.bw"})
    found = pd.read_csv(tmp_path / "out/variants.tsv", sep="\t").set_index("id")
    assert found["bound_ref"]["snv"] == pytest.approx(p[0, 0], abs=1e-4)
    assert found["bound_alt"].notna().all()
    with np.load(tmp_path / "out/maps.npz") as maps:
        assert np.abs(maps["change"]).max() > 0


def test_mutants_and_references_keep_the_track(planted: Planted) -> None:
    model, data = planted.model, planted.data
    rows = data.rows("test")[:4]
    codes, tracks = data.windows(rows), data.signal_of(rows)
    change = saturation_mutagenesis(model.network, codes, 0, tracks).numpy()
    before = model.logits(list(codes), signal=tracks)[:, 0]
    for base in range(4):
        for place in (0, 11, WINDOW - 1):
            mutants = codes.copy()
            mutants[:, place] = base
            expected = model.logits(list(mutants), signal=tracks)[:, 0] - before
            np.testing.assert_allclose(change[:, base, place], expected, rtol=1e-3, atol=1e-4)
    lifted = deep_lift(
        model.network, encoded(*map(torch.from_numpy, (codes, tracks))), shuffled_references(codes, 3, signal=tracks)
    )
    assert lifted.contributions.shape == change.shape
    assert lifted.delta.abs().max() < 1e-4  # they add up to the difference of logits, of which the track has no part
    raw = data.signal.stacked(rows)[:, 0, 4:-4]
    found = model.explain(codes, method="mutagenesis", signal={"open": raw})
    np.testing.assert_allclose(found, change - change.mean(1, keepdims=True), rtol=1e-3, atol=1e-4)


def test_explanations_show_the_track_above_the_letters(planted: Planted) -> None:
    model, data = planted.model, planted.data
    rows = data.rows("test")
    codes, signal, y = data.windows(rows), data.signal_of(rows), data.y.stacked(rows)
    p, ids = model._sequences(list(codes), signal=signal), [*map(str, range(len(rows)))]
    found = explain_sequences(
        model.network, codes, y, p, ids, None, Checks(), n_examples=2, method="gradient", signal=signal
    )
    for stored in (found.attributions, found.mistakes):
        np.testing.assert_array_equal(stored["signal"], signal[stored["id"].astype(int)])
    shown = found.attributions
    figure = logos(
        *map(list, (shown["codes"], shown["attributions"], shown["id"])), "ACGT", (), shown["signal"], ["open"]
    )
    for axes, values in zip(figure.axes[::2], shown["signal"], strict=True):
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), values[0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda model: model.predict("A" * WINDOW), "the model also needs open along the bases"),
        (lambda model: model.predict("A" * WINDOW, signal={"shut": [0] * WINDOW}), "the model has no track 'shut'"),
        (
            lambda model: model.predict("A" * WINDOW, signal={"open": [0, 1]}),
            "values of shape .2,. for a sequence of 31 bp",
        ),
        (
            lambda model: model.predict(["A" * WINDOW] * 2, signal={"open": [[0] * WINDOW]}),
            "values of 1 sequence, not 2",
        ),
        (lambda model: model.predict("A" * WINDOW, signal={"open": ["x"] * WINDOW}), "values that are no numbers"),
        (lambda model: model.predict("A" * WINDOW, signal={"open": 1}), "signal: open is 1"),
        (lambda model: model.predict("A" * WINDOW, signal=[0] * WINDOW), "signal: values by name of the track"),
        (lambda model: model.explain("A" * WINDOW), "the model also needs open"),
        (lambda model: model.scan(Genome(np.zeros(60, np.uint8), {"c": 60}, {}, "g"), "c", stride=1), "needs open"),
        (lambda model: Ensemble([model]).logits(np.zeros((1, WINDOW), np.uint8)), "the model needs open"),
    ],
)
def test_a_model_with_a_track_is_not_used_without(planted: Planted, call: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call(planted.model)


def test_files_of_sequences_without_a_place_are_refused(planted: Planted, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "new.fa").write_text(f">a\n{'A' * WINDOW}\n")
    arguments = [str(planted.model.path), str(tmp_path / "new.fa"), str(tmp_path / "out")]
    for more in ([], ["--signal", f"open={planted.folder / 'open.bw'}"]):
        assert cli.main(["predict", *arguments, *more]) == 2
        assert "which a file of sequences lacks" in capsys.readouterr().err
    assert cli.main(["predict", *arguments, "--signal", "open"]) == 2
    assert "is not NAME=FILE" in capsys.readouterr().err
    assert cli.main(["predict", *arguments, "--signal", "open=a.bw,open=b.bw"]) == 2
    assert "names a track twice" in capsys.readouterr().err
