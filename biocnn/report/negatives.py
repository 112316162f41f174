"""The network and the baselines tested on several kinds of negatives."""

import pandas as pd

from biocnn.report.blocks import Table, Text, table
from biocnn.report.headline import hardest, interval, kind_name, metric_name, number
from biocnn.report.results import Results


def negatives(results: Results) -> list[Text | Table]:
    """Return the blocks of this comparison; none if there are no other negatives."""
    found = results.negatives
    if not len(found) or found["own"].all():
        return []
    about = (
        "Does the network recognize positives, or only the kind of negatives it was trained on? The test positives are "
        "compared with other negatives, drawn where these positives lie, that no run was trained on."
    )
    return [Text(f"{about} {hardest(results)}"), _table(found)]


def _table(found: pd.DataFrame) -> Table:
    """Build a table with one row per kind of negatives and output, and one column per model."""
    several, rows = found["output"].nunique() > 1, []
    for (output, kind), part in found.groupby(["output", "negatives"], sort=False):
        first = part.iloc[0]
        cells = [f"{number(row.value)}\n{interval(row.low, row.high)}".strip() for row in part.itertuples()]
        name = f"{kind_name(kind)} (as in training)" if first["own"] else kind_name(kind)
        counts = [f"{first['positives']:,}", f"{first['n'] - first['positives']:,}"]
        rows.append([*([output] if several else []), _capital(name), *counts, *cells])
    models = [_capital(name) for name in found["model"].unique()]
    counted = ["Positives", "Negatives"]
    header = [*["Output"] * several, "Kind of negatives", *counted, *models]
    caption = (
        f"{metric_name(found['metric'].iloc[0])} of the test positives against each kind of negatives; small print: "
        "95% confidence intervals over loci. Where a baseline is close to the network, composition or short words "
        "suffice."
    )
    return table(caption, header, rows, ", ".join([*counted, *models]), "negatives.tsv")


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]
