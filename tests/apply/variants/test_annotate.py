"""From file to file: effects equal those of the models on edited sequences, and everything else is unchanged."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import DEEPBIND, lines_of, model_of, random_genome, records_of, run, vcf_text

from biocnn.apply.variants import reading
from biocnn.apply.variants.step import annotate
from biocnn.core.errors import InputError
from biocnn.io.fasta import decode, reverse_complement

GENOME = random_genome(300, 200)
TEXT = {name: decode(GENOME.codes(name, 0, length)) for name, length in GENOME.contigs.items()}


def record(chrom: str, pos: int, length: int, alt: str, info: str = ".", id: str = ".") -> str:
    """Return a record with REF from the genome; alt is a list of alleles, or + for the next base."""
    ref = TEXT[chrom][pos - 1 : pos - 1 + length]
    alt = alt.replace("+", "ACGT"[("ACGT".index(ref[0]) + 1) % 4])
    return f"{chrom} {pos} {id} {ref} {alt} 50 PASS {info}"


RECORDS = (
    record("chr1", 1, 1, "+"),
    record("chr1", 100, 1, "+", "AC=3;DB", "rs1"),
    record("chr1", 100, 3, "+,<DEL>,+TTA"),
    record("chr1", 101, 4, "+,*"),
    record("chr1", 150, 1, TEXT["chr1"][149] + "ACG"),
    record("chr1", 151, 1, "<DUP>", "END=170"),
    record("chr1", 300, 1, "+"),
    record("chr2", 50, 2, "TTT"),
    record("chr2", 60, 1, "."),
)


def shared(one: str, other: str) -> int:
    """Return the length of the common prefix."""
    return next(
        (i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )


def truth(model, chrom: str, pos: int, ref: str, alt: str, window: int = 31, offset: int = 0) -> np.ndarray:
    """Return logits of both alleles from strings: the mean of the windows that keep the left or the right flank."""
    text, start = TEXT[chrom], pos - 1
    assert text[start : start + len(ref)] == ref
    edited = text[:start] + alt + text[start + len(ref) :]
    least, same, same_end = min(len(text), len(edited)), shared(text, edited), shared(text[::-1], edited[::-1])
    first, behind = min(same, least - same_end), min(same_end, least - same)  # ambiguous variants may be moved
    flank = (window - (len(text) - first - behind)) // 2
    logits = []
    for kept in ("left", "right"):
        cut = []
        for whole in (text, edited):
            begin = first - flank if kept == "left" else len(whole) - behind + flank - window
            cut.append(("N" * window + whole + "N" * window)[begin + offset + window :][:window])
        logits.append(np.stack([np.log(p / (1 - p)) for p in model.predict(cut).astype(float)]))
    return np.mean(logits, 0)


def test_effects_equal_those_of_edited_sequences(tmp_path: Path) -> None:
    models = [model_of(tmp_path, seed=seed, outputs=["one", "two b"], out_channels=2) for seed in (1, 2, 3)]
    out = run(tmp_path, vcf_text(*RECORDS), GENOME, *models)
    table = pd.read_csv(out / "variants.tsv", sep="\t", keep_default_na=False)
    assert len(table) == 12
    scored = table[table["set_aside"] == ""]
    assert len(scored) == 8
    for row in scored.to_dict("records"):
        logits = np.stack([truth(m, row["chrom"], row["pos"], row["ref"], row["alt"]) for m in models])
        p = (1 / (1 + np.exp(-logits))).mean(0)
        change = logits[:, 1] - logits[:, 0]
        for k, name in enumerate(("one", "two_b")):
            wanted = [*p[:, k], p[1, k] - p[0, k], change[:, k].mean(), change[:, k].std(ddof=1)]
            found = [float(row[f"{name}_{key}"]) for key in ("ref", "alt", "delta", "dlogit", "sd")]
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=2e-5)


def test_vcf_and_table_agree(tmp_path: Path) -> None:
    out = run(tmp_path, vcf_text(*RECORDS), GENOME, model_of(tmp_path), background=20)
    table = pd.read_csv(out / "variants.tsv", sep="\t", keep_default_na=False).to_dict("records")
    rows = iter(table)
    for found in records_of(out):
        skipped = found.info.get("BIOCNN_SKIPPED")
        for i, alt in enumerate(found.alts or (".",)):
            row = next(rows)
            assert (found.chrom, found.pos, found.ref, alt) == (row["chrom"], row["pos"], row["ref"], row["alt"])
            assert row["set_aside"] == (skipped[i].replace(".", "") if skipped else "")
            for key in ("REF", "ALT", "DELTA", "DLOGIT", "P"):
                value = found.info[f"BIOCNN_bound_{key}"][i]
                assert row["set_aside"] == "" or value is None
                assert value is None or value == pytest.approx(float(row[f"bound_{key.lower()}"]))
    reasons = [row["set_aside"] for row in table if row["set_aside"]]
    assert reasons == ["symbolic", "star", "symbolic", "missing"]


def test_everything_else_is_unchanged(tmp_path: Path) -> None:
    samples = " FORMAT a b c"
    given = vcf_text(
        *(f"{r} GT:DP 0|1:3 ./.:. 1/2:9" for r in RECORDS), samples=samples,
        header=("##odd=<ID=\"x\",Text='caf\u00e9'>", "##contig=<ID=chr1,length=300>"),
    )  # fmt: skip
    lines = lines_of(run(tmp_path, given, GENOME, model_of(tmp_path)))
    kept = [line for line in lines if not re.match("##INFO=<ID=BIOCNN_|##biocnn_", line)]
    stripped = [re.sub(r"(^|(?<=\t)|;)BIOCNN_[^\t]*", "", line) for line in kept]
    stripped = [re.sub(r"\t\tGT", "\t.\tGT", line) for line in stripped]
    assert stripped == given.rstrip("\n").split("\n")
    assert sum("##biocnn_variants" in line for line in lines) == 2


def test_index_finds_records(tmp_path: Path) -> None:
    out = run(tmp_path, vcf_text(*RECORDS), GENOME, model_of(tmp_path))
    with pysam.TabixFile(str(out / "variants.vcf.gz")) as handle:
        assert [line.split("\t")[1] for line in handle.fetch("chr1", 99, 101)] == ["100", "100", "101"]
        assert [line.split("\t")[1] for line in handle.fetch("chr2")] == ["50", "60"]


def test_results_do_not_depend_on_block_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(tmp_path)
    whole = lines_of(run(tmp_path, vcf_text(*RECORDS), GENOME, model, background=10))
    monkeypatch.setattr(reading, "RECORDS", 2)
    assert lines_of(run(tmp_path, vcf_text(*RECORDS), GENOME, model, background=10)) == whole


def values(out: Path, key: str) -> np.ndarray:
    table = pd.read_csv(out / "variants.tsv", sep="\t")
    return table.loc[table["set_aside"].isna(), f"bound_{key}"].to_numpy()


def test_offsets_are_averaged(tmp_path: Path) -> None:
    model, text = model_of(tmp_path), vcf_text(*RECORDS)
    each = [values(run(tmp_path, text, GENOME, model, offsets=(o,)), "dlogit") for o in (-7, 0, 9)]
    together = values(run(tmp_path, text, GENOME, model, offsets=(-7, 0, 9)), "dlogit")
    np.testing.assert_allclose(together, np.mean(each, 0), atol=2e-4)


def test_the_other_strand_of_a_model_that_reads_one(tmp_path: Path) -> None:
    single = model_of(tmp_path, DEEPBIND | {"strands": "single"})
    out = run(tmp_path, vcf_text(record("chr1", 100, 1, "+"), record("chr1", 120, 3, "+")), GENOME, single,
              strands="both")  # fmt: skip
    for found in records_of(out):
        there = GENOME.windows(np.array([0]), np.array([found.pos - 1 - 15]), 31)
        both = (single.logits(there) + single.logits(reverse_complement(there))) / 2
        assert found.info["BIOCNN_bound_REF"][0] == pytest.approx(1 / (1 + np.exp(-both[0, 0])), rel=1e-3)


@pytest.mark.parametrize("strands", ["single", "both"])
def test_a_model_of_both_strands_is_not_run_twice(tmp_path: Path, strands: str) -> None:
    model, text = model_of(tmp_path), vcf_text(*RECORDS)
    np.testing.assert_array_equal(
        values(run(tmp_path, text, GENOME, model, strands=strands), "ref"),
        values(run(tmp_path, text, GENOME, model), "ref"),
    )


def test_swapped_records_keep_the_meaning_of_their_columns(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    (plain,) = records_of(run(tmp_path, vcf_text(record("chr1", 100, 1, "+")), GENOME, model))
    turned = f"chr1 100 . {plain.alts[0]} {plain.ref} . . ."
    (swapped,) = records_of(run(tmp_path, vcf_text(turned), GENOME, model, ref_mismatch="swap"))
    assert swapped.info["BIOCNN_SWAPPED"]
    assert "BIOCNN_SWAPPED" not in plain.info
    assert swapped.info["BIOCNN_bound_REF"] == plain.info["BIOCNN_bound_ALT"]
    assert swapped.info["BIOCNN_bound_DLOGIT"][0] == -plain.info["BIOCNN_bound_DLOGIT"][0]


def test_values_of_a_regression_model(tmp_path: Path) -> None:
    model = model_of(tmp_path, task="regression")
    (found,) = records_of(run(tmp_path, vcf_text(record("chr1", 100, 1, "+")), GENOME, model))
    assert "BIOCNN_bound_DLOGIT" not in found.info
    pair = model.predict([TEXT["chr1"][84:115], TEXT["chr1"][84:99] + found.alts[0] + TEXT["chr1"][100:115]])
    assert found.info["BIOCNN_bound_DELTA"][0] == pytest.approx(float(pair[1, 0] - pair[0, 0]), rel=1e-3)


def test_models_without_a_fixed_length_need_a_window(tmp_path: Path) -> None:
    model, text = model_of(tmp_path, window=None), vcf_text(*RECORDS)
    with pytest.raises(InputError, match="set a window"):
        run(tmp_path, text, GENOME, model)
    assert len(values(run(tmp_path, text, GENOME, model, window=25), "delta")) == 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"offsets": (16,)}, "from -15 to 15"),
        ({"window": 30}, "window is 30 bp, but the models were trained on 31"),
    ],
)
def test_incompatible_settings(tmp_path: Path, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(tmp_path, vcf_text(), GENOME, model_of(tmp_path), **settings)


def test_a_second_model_needs_another_prefix(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    once = "\n".join(lines_of(run(tmp_path, vcf_text(*RECORDS), GENOME, model))) + "\n"
    with pytest.raises(InputError, match="another prefix"):
        run(tmp_path, once, GENOME, model)
    for found in records_of(run(tmp_path, once, GENOME, model, prefix="again")):
        assert found.info["again_bound_REF"] == found.info["BIOCNN_bound_REF"]


def test_fields_missing_in_the_header_are_found_as_well(tmp_path: Path) -> None:
    text = vcf_text(record("chr1", 100, 1, "+", "AC=3;BIOCNN_bound_ALT=0.5"))
    with pytest.raises(InputError, match="already has an INFO field BIOCNN_bound_ALT, in chr1\t100"):
        run(tmp_path, text, GENOME, model_of(tmp_path))
    text = vcf_text(record("chr1", 100, 1, "+", "BIOCNN_other_ALT=0.5;NOTE=BIOCNN_bound_ALT"))
    assert records_of(run(tmp_path, text, GENOME, model_of(tmp_path)))[0].info["NOTE"] == "BIOCNN_bound_ALT"


@pytest.mark.parametrize("prefix", ["", "a b", "1a", "a;b", "a=b", "\u00e9"])
def test_prefixes_that_cannot_start_a_field(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(InputError, match="prefix is"):
        run(tmp_path, vcf_text(), GENOME, model_of(tmp_path), prefix=prefix)


def test_any_names_of_outputs_give_distinct_fields(tmp_path: Path) -> None:
    names = ["a b", "a_b", "a_b_1", 'q"\\\n##INFO=<', "\u03b2"]
    model = model_of(tmp_path, outputs=names, out_channels=5)
    out = run(tmp_path, vcf_text(record("chr1", 100, 1, "+")), GENOME, model)
    (found,) = records_of(out)
    assert len([key for key in found.info if key.endswith("_DLOGIT")]) == 5
    assert len(pd.read_csv(out / "variants.tsv", sep="\t").columns) == 9 + 5 * 4


def test_contigs_of_the_header_may_lack_a_length(tmp_path: Path) -> None:
    header = ("##contig=<ID=chr1>", "##contig=<ID=chr2,length=200>")
    assert len(records_of(run(tmp_path, vcf_text(*RECORDS, header=header), GENOME, model_of(tmp_path)))) == 9


def test_undecodable_bytes_do_not_reach_tables_of_the_report(tmp_path: Path) -> None:
    text = vcf_text(record("chr1", 100, 1, "+", id="r\udcffs"), "chr\udcff 5 . A <X\udcff> 1 \udcff; .",
                    "chr\udcff 4 . A C . . .", header=("##x=<\udcff",))  # fmt: skip
    (tmp_path / "in.vcf").write_bytes(text.encode("utf-8", "surrogateescape"))
    annotate(tmp_path / "in.vcf", [model_of(tmp_path)], GENOME, tmp_path, unknown_contigs="skip", maps=1)
    for name in ("counts.tsv", "largest.tsv"):
        assert "\ufffd" in (tmp_path / name).read_text(encoding="utf-8")
    assert any("r\udcffs" in line for line in lines_of(tmp_path)), "passed on unchanged"


def test_telomeres_are_passed_on(tmp_path: Path) -> None:
    text = vcf_text("chr2 0 . N C . . .", record("chr2", 60, 1, "+"), "chr2 201 . N <DEL> . . .")
    out = run(tmp_path, text, GENOME, model_of(tmp_path))
    assert [line.split("\t")[1] for line in lines_of(out) if line[0] != "#"] == ["0", "60", "201"]
    assert "before the first base of the contig" in (out / "counts.tsv").read_text()
    assert (out / "variants.vcf.gz.tbi").exists()


def test_records_out_of_order_are_scored_without_an_index(tmp_path: Path) -> None:
    records = [record("chr1", 100, 1, "+"), record("chr2", 60, 1, "+"), record("chr1", 90, 1, "+")]
    out = run(tmp_path, vcf_text(*records), GENOME, model_of(tmp_path))
    assert [found.pos for found in records_of(out)] == [100, 60, 90]
    assert not list(out.glob("*.tbi"))
    counts = pd.read_csv(out / "counts.tsv", sep="\t").set_index("reason")
    assert counts.loc[counts.index.str.startswith("unsorted records"), "example"].tolist() == ["chr1:90"]


@pytest.mark.parametrize(("records", "end"), [(["chrX 536870913 . A C . . ."], "csi"), (["chrX 5 . A C . . ."], "tbi")])
def test_large_positions_need_another_index(tmp_path: Path, records: list[str], end: str) -> None:
    text = vcf_text(record("chr1", 100, 1, "+"), *records)
    out = run(tmp_path, text, GENOME, model_of(tmp_path), unknown_contigs="skip")
    assert (out / f"variants.vcf.gz.{end}").exists()


SAMPLES = "\tFORMAT\tone\ttwo"


@pytest.mark.parametrize("more", [" GT 0/1", " GT 0/1 0/0:5"])
def test_an_output_that_others_cannot_read_is_an_error(tmp_path: Path, more: str) -> None:
    text = vcf_text(record("chr1", 100, 1, "+") + " GT 0/1 0/1", record("chr1", 110, 1, "+") + more, samples=SAMPLES)
    with pytest.raises(InputError, match="could not read record 2") as caught:
        run(tmp_path, text, GENOME, model_of(tmp_path))
    assert "bcftools view" in caught.value.remedy


def test_oddities_for_other_readers_are_counted(tmp_path: Path) -> None:
    header = ('##INFO=<ID=AC,Number=1,Type=Integer,Description="x">',)
    records = [record("chr1", pos, 1, "+", "AC=1;QQ=2") for pos in (100, 110)]
    out = run(tmp_path, vcf_text(*records, header=header), GENOME, model_of(tmp_path))
    counts = pd.read_csv(out / "counts.tsv", sep="\t")
    said = " ".join(counts["reason"])
    assert "AC should be declared as Number=A" in said
    assert "INFO 'QQ' at chr1:100 is not defined" in said


def test_blank_lines_and_a_byte_order_mark_are_removed(tmp_path: Path) -> None:
    text = "\ufeff" + vcf_text(record("chr1", 100, 1, "+"), "", record("chr1", 110, 1, "+"), "")
    out = run(tmp_path, text, GENOME, model_of(tmp_path))
    assert [found.pos for found in records_of(out)] == [100, 110]
    counts = pd.read_csv(out / "counts.tsv", sep="\t").set_index("reason")["count"]
    assert counts["blank lines removed"] == 2


def test_a_file_without_records_is_not_an_error(tmp_path: Path) -> None:
    out = run(tmp_path, vcf_text(), GENOME, model_of(tmp_path), background=10, maps=3)
    assert records_of(out) == []


@pytest.mark.parametrize("contig", ["ID=chr2,length=199", "ID=2,assembly=hg00,length=201", "length=2000,ID=chr2"])
def test_the_header_reveals_another_build(tmp_path: Path, contig: str) -> None:
    header = ("##contig=<ID=chr1,length=300>", f"##contig=<{contig}>", "##contig=<ID=chrUn,length=5>")
    with pytest.raises(InputError, match=r"made with another genome build than .* bp, not 200\)"):
        run(tmp_path, vcf_text(record("chr1", 5, 1, "+"), header=header), GENOME, model_of(tmp_path))


def test_a_header_need_not_name_contigs(tmp_path: Path) -> None:
    out = run(tmp_path, vcf_text(record("chr1", 50, 1, "ACGTA")), GENOME, model_of(tmp_path))
    assert "note" not in (out / "counts.tsv").read_text()


def test_a_header_need_not_give_lengths(tmp_path: Path) -> None:
    text = vcf_text(record("chr1", 5, 1, "+"), header=("##contig=<ID=chr1>", "##contig=<ID=2,length=200>"))
    assert len(records_of(run(tmp_path, text, GENOME, model_of(tmp_path)))) == 1


def test_it_is_an_error_if_all_contigs_are_unknown(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of its contigs"):
        run(tmp_path, vcf_text("ctgA 5 . A C . . ."), GENOME, model_of(tmp_path), unknown_contigs="skip")


def test_counts(tmp_path: Path) -> None:
    out = run(tmp_path, vcf_text(*RECORDS), GENOME, model_of(tmp_path))
    counts = pd.read_csv(out / "counts.tsv", sep="\t")
    assert counts["count"].tolist()[0] == 9
    kept = counts[counts["outcome"] == "kept"]
    named = dict(zip(kept["reason"].str.split(":").str[0], kept["count"], strict=True))
    assert named == {"SNV": 3, "complex": 4, "insertion": 1}
    assert counts.loc[counts["outcome"] == "dropped", "count"].sum() == 4


def test_maps_of_the_largest_effects_and_of_requested_variants(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    out = run(tmp_path, vcf_text(*RECORDS), GENOME, model, maps=2)
    largest = pd.read_csv(out / "largest.tsv", sep="\t")
    assert len(largest) == 8
    assert (np.diff(largest["delta"].abs()) <= 0).all()
    with np.load(out / "maps.npz") as maps:
        assert maps["change"].shape == (2, 4, 31)
    out = run(tmp_path, vcf_text(*RECORDS), GENOME, model, maps=("rs1", "rs404"))
    assert "rs404" in (out / "counts.tsv").read_text()
    with np.load(out / "maps.npz") as maps:
        (found,) = [r for r in records_of(out) if r.id == "rs1"]
        here, there = ("ACGT".index(base) for base in (found.ref, found.alts[0]))
        sign, other = (1, there) if maps["allele"][0] == "REF" else (-1, here)
        change = sign * maps["change"][0, other, maps["mark"][0]]
        assert (maps["chrom"][0], maps["start"][0] + maps["mark"][0] + 1) == (found.chrom, found.pos)
        assert change == pytest.approx(found.info["BIOCNN_bound_DLOGIT"][0], rel=1e-3)


def test_equal_windows_are_scored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(tmp_path, {"name": "Basset", "channels": [4], "kernel_size": [7], "pool": [1]})
    seen = []
    real = model.logits
    monkeypatch.setattr(model, "logits", lambda codes, **more: seen.append(len(codes)) or real(codes, **more))
    run(tmp_path, vcf_text(record("chr1", 100, 1, "+"), record("chr1", 100, 1, "+"), record("chr1", 100, 1, "+TT,+"))
        , GENOME, model)  # fmt: skip
    assert sum(seen) == 3 + 2, "two windows for the insertion, one with the right flank kept"


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_mixture_of_alleles(tmp_path: Path, data: st.DataObject) -> None:
    model = model_of(tmp_path)
    allele = st.one_of(st.text("ACGTacgtN", min_size=1, max_size=40), st.sampled_from(["*", ".", "<INS>", "A]chr1:4]"]))
    places = sorted(data.draw(st.lists(st.integers(1, 280), max_size=8)))
    records = [
        record("chr1", pos, data.draw(st.integers(1, 5)), ",".join(data.draw(st.lists(allele, min_size=1, max_size=3))))
        for pos in places
    ]
    out = run(tmp_path, vcf_text(*records), GENOME, model)
    assert [line.split("\t")[:7] for line in lines_of(out) if line[0] != "#"] == [r.split()[:7] for r in records]
    table = pd.read_csv(out / "variants.tsv", sep="\t", keep_default_na=False)
    assert len(table) == sum(r.split()[4].count(",") + 1 for r in records)
    for row in table[table["set_aside"] == ""].to_dict("records"):
        logits = truth(model, row["chrom"], row["pos"], row["ref"], row["alt"].upper())
        assert float(row["bound_dlogit"]) == pytest.approx(float(np.diff(logits[:, 0])[0]), rel=2e-3, abs=2e-5)


def test_bases_that_a_network_does_not_see_change_nothing(tmp_path: Path) -> None:
    model = model_of(tmp_path, DEEPBIND | {"channels": 1})
    records = [record("chr1", pos, 1, "+") for pos in range(40, 260)]
    change = values(run(tmp_path, vcf_text(*records), GENOME, model), "dlogit")
    assert (change == 0).sum() > 50, "one kernel, one best match: most bases have no effect"
    assert np.abs(change[change != 0]).min() > 1e-6
