"""The report of one experiment: a self-contained HTML file."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from biocnn.config.settings import Settings
from biocnn.core.files import atomic
from biocnn.core.plurals import plural
from biocnn.report import sections
from biocnn.report.audit import audit
from biocnn.report.blocks import Section
from biocnn.report.calibration import calibration
from biocnn.report.confidence import confidence
from biocnn.report.covariates import covariates
from biocnn.report.diagnosis import diagnosis
from biocnn.report.explanation import explanation
from biocnn.report.figures import Gallery, style
from biocnn.report.glossary import Explainer
from biocnn.report.headline import headline, interval, metric_name, number, verdict
from biocnn.report.methods import methods
from biocnn.report.new_images import counts, objects, predictions, restored
from biocnn.report.performance import performance
from biocnn.report.results import Results
from biocnn.report.sample_size import small
from biocnn.report.scan import scan
from biocnn.report.variants import variants


def write_report(experiment_folder: Path, settings: Settings, out: Path, figures: Path) -> None:
    """Write the report of an experiment, and its figures for papers.

    Sections without results are omitted, so a report can be made at any stage.

    Parameters
    ----------
    experiment_folder
        Folder ``results/{experiment}``; its name is the title.
    settings
        Resolved settings.
    out
        HTML file, with embedded pictures, style and script.
    figures
        Folder for figures as PNG (300 dots per inch) and SVG; an existing folder is replaced.
    """
    results = Results(experiment_folder)
    with atomic(figures) as folder, atomic(out) as page:
        with style():
            found = _sections(results, settings, Gallery(folder))
        context = {
            "title": results.name,
            "verdict": verdict(results),
            "tiles": tiles(results),
            "origin": _origin(results, settings),
            "explain": Explainer(results.folder),
            "sections": [section for section in found if section.blocks],
        }
        page.write_text(render("page.html.j2", **context), encoding="utf-8")


def _sections(results: Results, settings: Settings, gallery: Gallery) -> list[Section]:
    return [
        *chapters(results, settings, gallery),
        covariates(results, gallery),
        explanation(results, settings, gallery),
        variants(results, gallery),
        scan(results, gallery),
        objects(results, gallery),
        predictions(results, gallery),
        counts(results),
        restored(results, gallery),
        sections.data(results, settings, gallery),
        calibration(results, settings, gallery),
        sections.training(results, gallery),
        methods(results, settings, gallery),
        sections.reproduce(results, settings),
    ]


def chapters(results: Results, settings: Settings, gallery: Gallery) -> list[Section]:
    """Return the sections on how well each output is predicted; of several parts, an overview and those of each."""
    if not results.parts:
        return [
            performance(results, gallery),
            diagnosis(results, settings, gallery),
            confidence(results, gallery),
            audit(results, gallery),
        ]
    found = [performance(results, gallery)]
    for number_, part in enumerate(results.parts, 1):
        for section in chapters(part, settings, gallery.within(part.name)):
            title = f"{part.name}: {section.title[:1].lower()}{section.title[1:]}"
            found.append(Section(f"{section.anchor}-{number_}", title, section.blocks))
    return found


def render(template: str, **context: object) -> str:
    """Fill in a template; all text is escaped, and a missing name is an error."""
    environment = Environment(
        loader=PackageLoader("biocnn.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css, script = (files("biocnn.report").joinpath(name).read_text("utf-8") for name in ("style.css", "page.js"))
    return environment.get_template(template).render(css=css, script=script, **context)


def tiles(results: Results) -> list[dict[str, str]]:
    """Return the headline numbers: name, value, and a note with confidence interval and averaging."""
    found, units = [], "windows" if results.input and results.input.at_loci else "images"
    for row in headline(results).itertuples():
        over = {
            "per_image": "mean over images", "per_window": "mean over windows", "pooled": f"pooled over {units}"
        }.get(row.over, "")  # fmt: skip
        bounds = interval(row.low, row.high)
        run = row.run if row.run.startswith("mean") else ""
        note = [f"95% CI {bounds}" if bounds else "", over, run, small(results)]
        words = ", ".join(part for part in note if part)
        found.append({"name": metric_name(row.metric), "value": number(row.value), "note": words})
    return found


def _origin(results: Results, settings: Settings) -> str:
    """Return the origin of the results: model, runs, date, version."""
    model = results.network(settings).name
    parts = [str(model)] if model else []
    parts += [plural(len(results.runs), "run")] if results.runs else []
    times = [path.stat().st_mtime for run in results.runs if (path := results.model(run))]
    if times:
        parts.append(f"trained {datetime.fromtimestamp(max(times), UTC):%Y-%m-%d}")
    versions = results.versions
    if "biocnn" in versions:
        parts.append(f"biocnn {versions['biocnn']}")
    if versions.get("commit", "unknown") != "unknown":
        parts.append(f"commit {versions['commit']}")
    return " · ".join(parts)
