"""The section on variants: counts, the largest changes, and mutation maps."""

import numpy as np
import pandas as pd

from biocnn.core.plurals import plural
from biocnn.report.blocks import Section, Table, Text, short, table
from biocnn.report.figures import Gallery, Picture
from biocnn.report.headline import number
from biocnn.report.mutation_map import hints, mutation_maps
from biocnn.report.results import Results

_SHOWN = 20
_COLUMNS = {
    "reference": "Reference",
    "alternative": "Alternative",
    "delta": "Change",
    "dlogit": "Change of the logit",
    "sd": "SD",
    "p": "p",
}


def variants(results: Results, gallery: Gallery) -> Section:
    """Show counts of alleles, the largest changes, and mutation maps."""
    section = Section("variants", "Variants")
    counts = results.table("variants/counts.tsv")
    if not len(counts):
        return section
    section.blocks.append(Text(_account(counts)))
    largest = results.table("variants/largest.tsv")
    if len(largest):
        section.blocks.append(_largest(largest))
    if (results.folder / "variants" / "maps.npz").is_file():
        section.blocks.append(_maps(results, gallery))
    return section


def _account(counts: pd.DataFrame) -> str:
    """Format counts: 'calls.vcf.gz holds 24,990 records. Alleles scored: 23,670 SNVs. Set aside: ...'."""
    of = dict(list(counts.groupby("outcome", sort=False)))
    read = of["read"].iloc[0]
    parts = [f"{read['source']} holds {plural(read['count'], 'record')}"]
    if "kept" in of:
        scored = ", ".join(plural(row.n, row.reason.split(":")[0]) for row in _rows(of["kept"]))
        parts.append(f"Alleles scored: {scored}")
    if "dropped" in of:
        aside = "; ".join(
            f"{row.reason.split(': skipped as')[0]}: {row.n:,} ({row.example})" for row in _rows(of["dropped"])
        )
        parts.append(f"Set aside: {aside}")
    for outcome in ("note", "repaired"):
        if outcome in of:
            parts += [f"{row.n:,} {row.reason}" for row in _rows(of[outcome])]
    return ". ".join(parts) + ". All alleles are in variants/variants.vcf.gz and variants/variants.tsv."


def _rows(counts: pd.DataFrame) -> list:
    return list(counts.fillna("").rename(columns={"count": "n"}).itertuples())


def _largest(largest: pd.DataFrame) -> Table:
    values = [name for name in _COLUMNS if name in largest]
    several = largest["output"].nunique() > 1
    rows = []
    for row in largest.head(_SHOWN).fillna("").to_dict("records"):
        first = [row["id"], f"{row['chrom']}:{row['pos']:,}", f"{_short(row['ref'])} > {_short(row['alt'])}"]
        rows.append([*first, *([row["output"]] if several else []), *(number(row[name]) for name in values)])
    header = ["ID", "Position", "Alleles", *(["Output"] if several else []), *(_COLUMNS[name] for name in values)]
    caption = (
        "Variants with the largest change of the prediction; predictions of both alleles are means over all runs."
        + " SD: of the change of the logit, over runs." * ("sd" in values and "dlogit" in values)
    )
    return table(caption, header, rows, ",".join(header[-len(values) :]), "variants/variants.tsv")


def _maps(results: Results, gallery: Gallery) -> Picture:
    with np.load(results.folder / "variants" / "maps.npz", allow_pickle=False) as stored:
        maps = {name: stored[name] for name in stored.files}
    titles = [
        f"{short(title, 40)}   {short(output, 16)}: {number(before)} to {number(after)}; map of {short(allele, 16)}"
        for title, output, (before, after), allele in zip(
            maps["title"], maps["output"], maps["values"], maps["allele"], strict=True
        )
    ]
    alphabet = results.facts.alphabet
    marks = [int(mark) for mark in maps["mark"]]
    codes, changes = list(maps["codes"]), list(maps["change"])
    figure = mutation_maps(codes, changes, titles, alphabet, results.scale, marks)
    places = [
        (str(chrom), int(start), int(start) + len(code), "+") if chrom else None
        for chrom, start, code in zip(maps["chrom"], maps["start"], codes, strict=True)
    ]
    caption = (
        f"Mutation maps around variants (framed), for the allele with the larger {results.scale}. Letters: mean "
        f"decrease of the {results.scale} when the base is replaced; below: change of the {results.scale} by each "
        "single replacement."
    )
    words, alt = hints(codes, changes, alphabet, places, marks), f"Mutation maps of {plural(len(titles), 'variant')}"
    return gallery.add("variants", figure, alt, caption, hints=words)


def _short(allele: str) -> str:
    return allele if len(allele) <= 12 else f"{allele[:10]}… ({len(allele)} bp)"
