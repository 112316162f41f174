"""The section on covariates: their values by split, and how much the network loses without each."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from biocnn.core.palette import BLUE
from biocnn.data.covariates import PREFIX
from biocnn.data.dataset import Dataset
from biocnn.data.splits import SPLITS
from biocnn.metrics import ERRORS
from biocnn.report.blocks import Section, Table, Text, short, table
from biocnn.report.figures import MUTED, Gallery, new_figure
from biocnn.report.headline import metric_name, number
from biocnn.report.results import Results
from biocnn.tasks.facts import Covariate

_FAR, _SURE = 0.25, 3.0  # differences between splits: standard deviations of the training split, and standard errors
_MOST, _PANELS = 16, 4  # covariates and metrics in the figure


def covariates(results: Results, gallery: Gallery) -> Section:
    """Show values of the covariates in each split, differences between splits, and the loss by shuffling each."""
    section, dataset = Section("covariates", "Covariates"), results.dataset
    if not (dataset and dataset.facts.coded):
        return section
    section.blocks.append(_values(dataset))
    if found := list(shifts(dataset)):
        effect = (
            "the splits thus differ in the input of the network, and metrics hold only for values like those of test"
        )
        section.blocks.append(Text(f"Warning: {'; '.join(found)}; {effect}."))
    lost = results.table("explain/covariates.tsv")
    if len(lost):
        section.blocks.extend(_importance(lost, gallery))
    return section


def shifts(dataset: Dataset) -> Iterator[str]:
    """Yield covariates whose values in the validation or test split clearly differ from the training split."""
    names = [name for one in dataset.facts.coded for name in one.columns]
    z = pd.DataFrame(dataset.covariates.astype(float), columns=names)
    sd = z.iloc[dataset.rows("train")].std(ddof=0)
    # Examples of a group are not independent.
    rows, groups = {split: dataset.rows(split) for split in SPLITS}, dataset.groups("group")
    means = {split: z.iloc[rows[split]].groupby(groups[rows[split]]).mean() for split in SPLITS}
    train = means.pop("train")
    for split, other in means.items():
        apart = other.mean() - train.mean()
        error = np.sqrt(train.var() / len(train) + other.var() / len(other))
        for name in z.columns[apart.abs() > np.maximum(_FAR * sd, _SURE * error)]:
            sign = "higher" if apart[name] > 0 else "lower"
            yield f"“{name}” is {sign} in {split} by {abs(apart[name]) / max(sd[name], 1e-12):.2g} standard deviations"


def _values(dataset: Dataset) -> Table:
    parts = {split: dataset.examples.iloc[dataset.rows(split)] for split in SPLITS}
    rows = []
    for one in dataset.facts.coded:
        columns = [part[PREFIX + one.name] for part in parts.values()]
        for place, (value, cells) in enumerate(_described(one, columns)):
            rows.append([one.name if place == 0 else "", value, *cells])
    caption = (
        "Covariates, which the network receives with each example. Numbers are standardised by the training split"
        f"{' of fold 0' if dataset.folds > 1 else ''}; words of which it has no example count as missing."
    )
    return table(caption, ["Covariate", "Value", *(name.capitalize() for name in SPLITS)], rows, "Train, Val, Test")


def _described(one: Covariate, columns: list[pd.Series]) -> Iterator[tuple[str, list[str]]]:
    """Yield rows of the table: what is counted, and its value in each split."""
    if one.levels:
        for level in one.levels:
            yield level, [f"{(column == level).mean():.1%}" for column in columns]
        missing = [~column.isin(one.levels) for column in columns]
    else:
        yield "mean ± s.d.", [f"{number(column.mean())} ± {number(column.std(ddof=0))}" for column in columns]
        missing = [column.isna() for column in columns]
    if any(which.any() for which in missing):
        yield "missing", [f"{which.sum():,} ({which.mean():.1%})" for which in missing]


def _importance(lost: pd.DataFrame, gallery: Gallery) -> list[object]:
    several, times = lost["output"].nunique() > 1, lost["shuffles"].iloc[0]
    panels = [one for _, one in lost.groupby(np.where(lost["metric"].isin(ERRORS), lost["output"], lost["metric"]))]
    panels = sorted(panels, key=lambda one: one.index[0])[:_PANELS]
    what = "metrics" if len(panels) > 1 else metric_name(panels[0]["metric"].iloc[0])
    how = f"{times} times" if times > 1 else "once"
    where = " where none is named" if len(panels) > 1 else ""
    mean = "" if all(map(_named, panels)) else f", mean over outputs{where}"
    caption = (
        f"Loss of {what} of the first run if the values of a covariate are shuffled {how} among the test "
        f"examples{mean}; bars: standard deviation of the shuffles. Covariates with the same information can replace "
        "each other; then each of them seems unimportant."
    )
    rows = []
    for one in lost.sort_values("loss", ascending=False, kind="stable").itertuples():
        values = map(number, (one.value, one.shuffled, one.loss))
        rows.append([one.covariate, *[one.output] * several, metric_name(one.metric), *values])
    header = ["Covariate", *["Output"] * several, "Metric", "Test", "Shuffled", "Loss"]
    about = "Metrics of the test split with the values of a covariate shuffled. Loss: positive if the covariate helps."
    return [
        gallery.add("covariates", by_covariate(panels, several), "Loss by shuffling each covariate", caption),
        table(about, header, rows, ", ".join(header[-3:])),
    ]


def by_covariate(panels: Sequence[pd.DataFrame], several: bool) -> Figure:
    """Draw the losses by shuffling each covariate, those with the largest loss in the first panel first.

    Parameters
    ----------
    panels
        Rows of a table as from ``importance``, of one metric each.
    several
        Whether there are several outputs, to be named.
    """
    each = [one.groupby("covariate", sort=False)[["loss", "sd"]].mean() for one in panels]
    order = each[0].sort_values("loss", ascending=False, kind="stable").index[:_MOST]
    figure = new_figure(0.7 + 0.25 * len(order))
    for axes, one, lost in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, each, strict=True
    ):
        means = lost.loc[order]
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.barh(range(len(order)), means["loss"], xerr=means["sd"].fillna(0), color=BLUE, height=0.6, ecolor=MUTED)
        axes.set_yticks(range(len(order)), [short(name, 24) for name in order])
        axes.set_ylim(len(order) - 0.4, -0.6)
        output = _named(one) if several else None
        axes.set_xlabel(
            f"Loss of {metric_name(one['metric'].iloc[0])}" + (f"\nof {short(output, 24)}" if output else "")
        )
        axes.locator_params(axis="x", nbins=4)
    return figure


def _named(panel: pd.DataFrame) -> str | None:
    """Return the only output of a panel, if it has one."""
    outputs = panel["output"].unique()
    return str(outputs[0]) if len(outputs) == 1 else None
