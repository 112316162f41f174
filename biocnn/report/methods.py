"""The section on methods: the network drawn, and a paragraph with citations to copy into a paper."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from biocnn.config.settings import Settings
from biocnn.core.plurals import plural
from biocnn.data.splits import SPLITS
from biocnn.report.blocks import Quote, Section
from biocnn.report.citations import Citations
from biocnn.report.figures import Gallery
from biocnn.report.headline import NEGATIVES, best_rows, metric_name, number
from biocnn.report.network import drawn
from biocnn.report.results import Results

LOSSES = {
    "bce": "binary cross-entropy",
    "mse": "squared error",
    "l1": "absolute error",
    "huber": "the Huber loss",
    "cross_entropy": "cross-entropy",
    "cumulative": "the cross-entropy of whether the grade is above each but the last",
    "focal": "the focal loss",
    "dice": "the Dice loss",
    "tversky": "the Tversky loss",
    "dice_bce": "the sum of Dice loss and binary cross-entropy",
    "dice_cross_entropy": "the sum of Dice loss and cross-entropy",
    "dice_focal": "the sum of Dice loss and focal loss",
    "boundary": "the sum of Dice loss, cross-entropy and boundary loss",
    "cldice": "the sum of Dice loss, cross-entropy and soft clDice loss",
    "nt_xent": "the sum of cross-entropy and NT-Xent loss",
    "triplet": "the sum of cross-entropy and triplet loss",
    "gaussian_nll": "the negative log likelihood of a Gaussian distribution",
    "quantiles": "the quantile loss",
    "poisson": "the negative log likelihood of a Poisson distribution",
    "multinomial": "the negative log likelihood of a multinomial distribution and the squared error of log totals",
    "ssim": "structural dissimilarity",
    "instances": "losses of object interior, boundary and distance maps",
}
_OPTIMIZERS = {"adamw": "AdamW", "sgd": "stochastic gradient descent with momentum"}
_SCHEDULES = {
    "one_cycle": "a one-cycle schedule",
    "cosine": "a cosine schedule",
    "constant": "a constant learning rate",
}
_ATTRIBUTIONS = {
    "deeplift": "DeepLIFT with shuffled reference sequences",
    "mutagenesis": "saturation mutagenesis",
    "integrated_gradients": "integrated gradients",
    "gradient": "corrected gradients",
}
_UNCERTAIN = {
    "ensemble": "the entropy of the mean prediction of all runs",
    "dropout": "Monte-Carlo dropout",
    "augment": "predictions of flipped and rotated images",
}


def methods(results: Results, settings: Settings, gallery: Gallery) -> Section:
    """Draw the network, and describe data, training and evaluation with citations."""
    section = Section("methods", "Methods")
    if not results.runs or not (meta := results.metadata(results.runs[0])):
        return section
    section.blocks.extend(drawn(results, settings, gallery))
    cite = Citations()
    given = settings.model_dump(mode="json")
    for key, value in meta.experiment.model_dump(mode="json").items():  # with what the data decided
        given[key] = given[key] | value if isinstance(value, dict) and isinstance(given[key], dict) else value
    parts = (_data(results, given), _training(results, given, cite), _evaluation(results, given, cite))
    paragraphs = [" ".join(part) for part in parts if part]
    paragraphs.append(" ".join(_explained(results, cite)))
    paragraphs.append(_software(results, cite))
    section.blocks.append(Quote("Methods, to copy", [text for text in paragraphs if text], cite.listed))
    return section


def _data(results: Results, given: dict[str, Any]) -> list[str]:
    examples, kind, task = results.examples, results.input, results.task
    if not len(examples) or not kind or not task:
        return []
    asked = task.label.format(one=kind.name)
    found = [f"The data set has {len(examples):,} {kind.examples} {kind.describe(results.facts)}; predicted: {asked}."]
    negatives = given["data"].get("negatives")
    if isinstance(negatives, dict) and negatives.get("name") in NEGATIVES:
        ratio = negatives.get("ratio", 1)
        found.append(f"Negatives are {NEGATIVES[negatives['name']]}, {number(ratio, 0)} per positive.")
    if results.facts.covariates:
        found.append(f"The network also received covariates ({', '.join(results.facts.covariates)}).")
    if results.facts.signal:
        tracks = ", ".join(results.facts.signal)
        found.append(
            f"The network also received tracks along the bases ({tracks}), "
            + "as log(1 + value), " * (results.facts.signal_scale == "log1p")
            + "standardised by the training split."
        )
    split, unit = given["split"], given["split"]["group"]
    units = "groups of examples" if unit == "group" else f"groups by {unit}"
    if split["folds"]:
        found.append(
            f"Networks were trained and tested by {split['folds']}-fold cross-validation over {units}; each fold is "
            "once the test split, and the next fold the validation split."
        )
    else:
        sizes = " / ".join(f"{(examples['split'] == name).sum():,}" for name in SPLITS)
        named = [
            f"{', '.join(map(str, split[name]))} ({what})"
            for name, what in (("val", "validation"), ("test", "test"))
            if isinstance(split[name], list)
        ]
        how = f"held out: {' and '.join(named)}" if named else f"by {units}, none of which is in two splits"
        found.append(f"Examples were split into training / validation / test ({sizes}; {how}).")
    return found


def _training(results: Results, given: dict[str, Any], cite: Citations) -> list[str]:
    meta, train, model = results.metadata(results.runs[0]), given["train"], given["model"]["name"]
    assert meta
    epochs = [int(history.loc[history["best"].idxmax(), "epoch"]) for history in results.histories.values()]
    network = f"A network of the type {model}{cite(model)} was trained"
    start = f", starting from the weights of {train['start_from']}," if train["start_from"] else ""
    found = [
        f"{network}{start} to minimize {_loss(results, given, cite)}, with {_OPTIMIZERS[train['optimizer']]}"
        f"{cite(train['optimizer'])} (learning rate {train['lr']:g}, {_SCHEDULES[train['schedule']]}"
        f"{cite(train['schedule'])}, weight decay {train['weight_decay']:g}, batches of {train['batch_size']}), for "
        f"{plural(train['epochs'] or 0, 'epoch')}."
    ]
    names = dict.fromkeys(one["name"].replace("_", " ") for one in given["augment"] if isinstance(one, dict))
    if names:
        found.append(f"Training examples were augmented ({', '.join(names)}).")
    ends = {run: about.stopped for run in results.histories if (about := results.metadata(run))}
    whole = (len(results.histories[run]) for run, stopped in ends.items() if not stopped)
    if train["patience"] and any(number < train["epochs"] for number in whole):
        found.append(f"Training ended after {plural(train['patience'], 'epoch')} without improvement.")
    found.extend(f"The training of {run} was {stopped}." for run, stopped in ends.items() if stopped)
    if trials := given["calibrate"]["trials"]:
        found.append(f"Settings were chosen from {plural(trials, 'trial')} by the validation metric.")
    if epochs:
        when = str(epochs[0]) if len({*epochs}) == 1 else f"{min(epochs)}–{max(epochs)}"
        by = results.task.monitor if results.task else ""
        best = f"with the best {metric_name(by)}" if by else "with the lowest loss"
        found.append(f"The weights of the epoch {best} in the validation split were kept (epoch {when}).")
    if meta.words and any(share < 1 for share in meta.words.share):
        found.append(
            "Network outputs were averaged with those of a linear model of 1- to 6-mers, weighted by validation."
        )
    if meta.temperature:
        found.append(f"Logits were divided by a temperature{cite('temperature')} fitted on the validation split.")
    if len(results.runs) > 1:
        count = plural(len(results.runs), "run")
        found.append(f"The predictions of {count} (folds or seeds) were combined{cite('ensemble')}.")
    return found


def _loss(results: Results, given: dict[str, Any], cite: Citations) -> str:
    if results.facts.parts:
        return "the mean of the losses of its outputs, each divided by that of the best constant prediction"
    allowed = results.task.losses if results.task else ()
    name = (given["loss"] or {}).get("name") or next(iter(allowed), "")
    hidden = f" of hidden pixels{cite('blind')}" if results.facts.blind else ""
    return f"{LOSSES.get(name, name)}{hidden}" if name else "its own loss"


def _evaluation(results: Results, given: dict[str, Any], cite: Citations) -> list[str]:
    rows, found = best_rows(results), []
    main = [name for name in dict.fromkeys(rows["metric"]) if name in results.headline] if len(rows) else []
    if main:
        keys = {"panoptic_quality": "panoptic_quality", "aji": "aji"}
        cited = {name: cite(next((key for start, key in keys.items() if name.startswith(start)), "")) for name in main}
        named = ", ".join(f"{metric_name(name)}{cited[name]}" for name in main)
        found.append(f"Predictions on the {results.split} split were evaluated by {named}.")
        if results.metrics["low"].notna().any() and results.input:
            found.append(
                f"95% confidence intervals are from {given['metrics']['resamples']:,} bootstrap{cite('bootstrap')} "
                f"resamples of {results.input.resampled}."
            )
    if len(results.audit):
        names = ", ".join(dict.fromkeys(results.audit["baseline"]))
        found.append(f"The network was compared with baselines ({names}) on the same splits.")
    uncertain = results.table("uncertainty/summary.tsv")
    if len(uncertain):
        method = str(uncertain["method"].iloc[0])
        alone = method == "ensemble" and len(results.runs) == 1
        how = "the entropy of the prediction" if alone else f"{_UNCERTAIN.get(method, method)}{cite(method)}"
        if results.task and results.task.detects:
            how = "the scores of boxes"
        found.append(f"Uncertainty was measured by {how}.")
    return found


def _explained(results: Results, cite: Citations) -> Iterator[str]:
    folder = results.folder / "explain"
    if (folder / "attributions.npz").is_file():
        with np.load(folder / "attributions.npz") as stored:
            method = str(stored["method"])
        yield f"Contributions of bases were computed by {_ATTRIBUTIONS.get(method, method)}{cite(method)}."
    if len(results.seqlet_matches):
        yield f"Segments with large contributions were aligned to motifs, similar to TF-MoDISco{cite('seqlets')}."
    if len(results.matches) and results.matches["target_id"].notna().any():
        yield f"Motifs were compared with known ones as in Tomtom{cite('matches')}."
    if (folder / "cam.npz").is_file():
        with np.load(folder / "cam.npz") as stored:
            some = len(stored["id"]) > 0
        if some:
            yield f"Regions of images that raise an output were mapped by Grad-CAM{cite('cam')}."


def _software(results: Results, cite: Citations) -> str:
    versions = results.versions
    if not versions:
        return ""
    torch = f"PyTorch {versions['torch'].partition('+')[0]}{cite('torch')}" if "torch" in versions else ""
    flow = f"Snakemake {versions['snakemake']}{cite('snakemake')}" if "snakemake" in versions else ""
    commit = versions.get("commit", "unknown")
    own = f"biocnn {versions.get('biocnn', '')}" + (f" (commit {commit})" if commit != "unknown" else "")
    return f"All steps were run with {', '.join(filter(None, [own, torch, flow]))}."
