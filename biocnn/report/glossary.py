"""Glossary: explanations that the page shows for words in text and for columns of tables."""

import re
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup, escape

METRICS = {
    "AUROC": "Area under the ROC curve: the probability that a positive example scores higher than a negative one. "
    ".5 is chance, 1 is perfect.",
    "AUPRC": "Area under the precision-recall curve (average precision). Chance is the share of positives.",
    "Pearson r": "Pearson's correlation of predicted and measured values, −1 to 1.",
    "Spearman ρ": "Spearman's correlation of the ranks of predicted and measured values, −1 to 1.",
    "Dice": "Overlap of predicted and true area: twice the intersection divided by the sum of both. 1 is perfect.",
    "IoU": "Intersection over union of predicted and true area. 1 is perfect.",
    "HD95": "95th percentile of the distances between predicted and true outline. 0 is perfect.",
    "mean AP": "Mean of the average precision over IoU thresholds. 1 is perfect.",
    "AP at IoU": "Average precision: TP / (TP + FP + FN) of objects that are matched at this IoU or more.",
    "F1 at IoU .5": "F1 of objects: harmonic mean of precision and recall, if an IoU of .5 counts as a match.",
    "PQ at IoU .5": "Panoptic quality: F1 of matched objects times their mean IoU. 1 is perfect.",
    "PQ": "Panoptic quality: F1 of matched objects times their mean IoU. 1 is perfect.",
    "mean PQ of classes": "Panoptic quality of each class, averaged over classes.",
    "accuracy of classes": "Share of matched objects with the right class.",
    "AJI": "Aggregated Jaccard index: intersection over union of all objects together; missed and false objects count "
    "in the union. 1 is perfect.",
    "V-Rand": "Score of a partition of the image into objects: penalizes merged and split objects. 1 is perfect.",
    "clDice": "Dice of centre lines: whether thin structures, for example vessels, stay connected. 1 is perfect.",
    "accuracy": "Share of examples with the right class.",
    "balanced accuracy": "Share of examples with the right class, averaged over classes.",
    "top-2 accuracy": "Share of examples whose true class is among the two most probable.",
    "recall at 10% FDR": "Share of positives that are found if 10% of what is called positive may be false "
    "(false discovery rate).",
    "sensitivity at 90% specificity": "Share of positives found where 10% of negatives are called positive.",
    "Cohen's κ": "Agreement of predicted and true class beyond chance. 0 is chance, 1 is perfect.",
    "quadratic κ": "Agreement of predicted and true grade beyond chance; an error counts with its squared distance.",
    "mean error in grades": "Mean distance between predicted and true grade.",
    "ECE": "Expected calibration error: mean difference between predicted probability and observed frequency. "
    "0 is perfect.",
    "MSE": "Mean squared error.",
    "RMSE": "Root of the mean squared error, in the unit of the value.",
    "R²": "Share of the variance that is explained. 0 is the mean of all values, 1 is perfect.",
    "width of intervals": "Mean width of the 90% intervals; of two with the same coverage, the narrower is better.",
    "CRPS": "Continuous ranked probability score: error of a predicted distribution, in the unit of the value.",
    "AP50": "Average precision of boxes that are matched at an IoU of .5.",
    "AP75": "Average precision of boxes that are matched at an IoU of .75.",
    "AP50:95": "Average precision of boxes, averaged over IoU thresholds from .5 to .95, as in COCO.",
    "AR": "Average recall of boxes over IoU thresholds from .5 to .95.",
    "F1": "Harmonic mean of precision and recall.",
    "FROC": "Mean sensitivity at fixed numbers of false positives per image.",
    "count error": "Mean absolute error of counts per image.",
    "RMSE of counts": "Root of the mean squared error of counts.",
    "bias of counts": "Mean of predicted minus true counts. 0 is perfect.",
    "relative count error": "Absolute error of counts divided by the true count.",
    "GAME(1)": "Count error summed over the 4 quarters of an image: counts in the wrong place are errors.",
    "GAME(2)": "Count error summed over 16 parts of an image: counts in the wrong place are errors.",
    "coverage of 90% intervals": "Share of true values within their 90% interval: about .9 if intervals are right.",
    "PSNR": "Peak signal-to-noise ratio in dB. Higher is better.",
    "PSNR after affine fit": "PSNR after the best scale and offset, so that brightness does not count.",
    "SSIM": "Structural similarity of two images. 1 is perfect.",
    "correlation in the residual": "Correlation of neighbouring pixels of the error: 0 if only noise was removed.",
    "mean absolute error": "Mean absolute difference between prediction and truth.",
    "Pearson r within windows": "Pearson's correlation along each window, averaged over windows.",
    "Spearman ρ within windows": "Spearman's correlation along each window, averaged over windows.",
    "distance of shapes": "Jensen-Shannon distance of predicted and observed profile shapes. 0 is perfect.",
    "R² of totals": "Share of the variance of log totals of windows that is explained.",
}
WORDS = {
    "95% CI": "95% confidence interval: if data were sampled again and again, 95% of such intervals would contain the "
    "true value.",
    "bootstrap": "Examples are drawn again with replacement many times; the spread of the metric gives its interval.",
    "paired bootstrap": "Both models are measured on the same resampled examples, so that their difference is precise.",
    "ensemble": "The mean prediction of all runs.",
    "held-out": "Not used for training: the test split, or the validation split if there is no test split.",
    "validation split": "Examples that choose the best epoch and thresholds.",
    "test split": "Examples on which nothing was trained or chosen.",
    "logit": "Output of the network before the sigmoid or softmax: log odds of the probability.",
    "logits": "Outputs of the network before the sigmoid or softmax: log odds of the probability.",
    "temperature": "Number that divides logits so that probabilities agree with frequencies in the validation split.",
    "seqlets": "Short segments that contribute much to a prediction; similar ones are aligned to a motif.",
    "seqlet": "A short segment that contributes much to a prediction.",
    "q-value": "Smallest false discovery rate at which this match counts.",
    "FDR": "False discovery rate: expected share of false positives among all that are called positive.",
    "GC content": "Share of G and C in a sequence.",
    "6-mers": "Words of six bases; a linear model of their counts is a strong simple baseline.",
    "k-mer": "A word of k bases.",
    "Grad-CAM": "Map of the image regions that raise an output, from gradients of a feature map.",
    "DeepLIFT": "Contribution of each base: difference from reference sequences, passed back through the layers.",
    "integrated gradients": "Contribution of each base: gradients summed on the path from a reference to it.",
    "saturation mutagenesis": "Every base is replaced by each other one, and the change of the prediction recorded.",
    "entropy": "Uncertainty of a probability: 0 if certain, 1 if all classes are equally probable.",
    "Monte-Carlo dropout": "Predictions are repeated with random units switched off; their spread is the uncertainty.",
    "epoch": "One pass through the training examples, or some steps on patches of images; a validation ends it.",
    "learning rate": "Size of the steps of training.",
    "calibrated": "Of examples with a probability of 80%, 80% are positive.",
    "kernel": "Weights of a convolution: a pattern that is searched for everywhere in the input.",
    "SHA-256": "Checksum of a file: equal only for files with the same content.",
}
COLUMNS = {
    "Run": "One training: fold of the data and seed of the random numbers.",
    "Split": "train: learned from; val: chooses epoch and thresholds; test: only measured.",
    "Over": "Metrics of each image are averaged, or pixels and objects of all images are pooled.",
    "Output": "What the network predicts.",
    "Groups": "Units that are never divided between splits, for example chromosomes or plates.",
    "n": "Number of examples.",
    "Epochs": "Number of passes through the training examples.",
    "Best epoch": "The epoch whose weights were kept: the best in the validation split.",
    "Train loss": "The loss that training minimizes, on the training split, at the best epoch.",
    "Val. loss": "The same on the validation split.",
    "Baseline": "A simple model of the same examples, to compare the network with.",
    "Baseline value": "Metric of the baseline; small print: 95% confidence interval.",
    "Network": "Metric of the network: of the ensemble if there are several runs.",
    "Mean of runs": "Mean over single runs; small print: standard deviation.",
    "Difference": "Network minus baseline; small print: 95% confidence interval by paired bootstrap.",
    "Outcome": "read: found; note: measured; repaired: corrected; dropped: left out.",
    "Step": "Difference from the line above.",
    "Verdict": "Which step is so large that a remedy is worth its effort.",
    "Kind of negatives": "Where negative examples were drawn.",
    "Motif": "Name in this report: kernels of the first layer by number, motifs of seqlets as seqlets1, seqlets2, ...",
    "Sites": "Number of sites that the motif was made of.",
    "Kernel": "Weights of the first layer by number; similar kernels share a row.",
    "Bits": "Information of the motif, summed over its positions: the more, the rarer by chance.",
    "Frequency": "Share of sequences with a site.",
    "in positives": "Share of positive sequences with a site.",
    "Contribution": "Contribution of a site to the prediction, mean over sites.",
    "Best match": "Most similar motif of the database, if it is similar enough.",
    "E": "Number of matches as good as this that are expected by chance in the whole database.",
    "p": "Probability of a value at least as extreme by chance.",
    "q": "Smallest false discovery rate at which the match counts.",
    "Effect": "Correlation of the highest activation in a sequence with the target.",
    "What they are": "How these examples relate to training.",
    "Truth": "The label in the data.",
    "Probability": "As predicted by the network.",
    "Group": "Unit that is never divided between splits.",
    "Positives": "Number of positive examples.",
    "Negatives": "Number of negative examples.",
    "Reason": "Why this was done, or what is wrong.",
    "Setting": "Dotted key in the experiment file.",
    "Summit": "Middle base of the peak (1-based).",
    "True fraction": "Estimated share of true peaks among this one and all that are higher.",
    "Change": "Prediction for the alternative minus the reference allele.",
    "Change of the logit": "The same before the sigmoid, where changes of all probabilities are comparable.",
    "SD": "Standard deviation over runs.",
    "Alleles": "Reference > alternative.",
    "Share": "Fraction of all.",
    "Uncertainty": "Entropy of the prediction: 0 if certain.",
    "Sensitivity": "Share of the positives that are found (recall).",
    "Precision": "Share of those called positive that are positive.",
    "Gain at most": "Decrease of the error if none of these examples were wrong.",
    "Disagreement": "How much the runs differ in their objects: 0 if they agree.",
    "Best baseline": "The simple model with the best value.",
    "Trial": "A training with settings drawn by the search.",
    "Time": "Duration of the training.",
    "90% interval": "Contains the true value with a probability of 90%.",
}
_TERMS = METRICS | WORDS
_FILES = r"(?:tsv|csv|npz|npy|meme|json|bed|bw|narrowPeak|vcf\.gz|bed\.gz|tbi|png|svg|zip)"
_WORD = re.compile(
    rf"(?<![\w.])(?:{'|'.join(re.escape(term) for term in sorted(_TERMS, key=len, reverse=True))})(?!\w)"
    rf"|(?<![\w/.])[\w./-]{{1,200}}\.{_FILES}\b"
)

_TIED = re.compile(r"\b(IoU(?:</abbr>)?|Pearson|Spearman|Cohen&#39;s|quadratic) (?=[.rρκ])")  # as in AP at IoU .5


def meaning(header: str) -> str:
    """Return the explanation of a column, "" if there is none: of its name, or of the metric in it."""
    plain = re.sub(r"^Val\. | \([^)]*\)$", "", header)
    plain = re.sub(r"^AP at IoU .*", "AP at IoU", plain)
    known, lower = COLUMNS | METRICS, f"{plain[:1].lower()}{plain[1:]}"
    found = (known[name] for name in (header, plain, lower, plain.partition(" of ")[0]) if name in known)
    if header.startswith("1 − ") and (metric := meaning(header[4:])):
        return f"Error: 1 minus the metric. {metric}"
    return next(found, "")


class Explainer:
    """Marks words of the glossary in text, and links files that exist; remembers the words for the page's glossary.

    Parameters
    ----------
    folder
        Folder of the page.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.used = folder, set[str]()

    def text(self, words: str) -> Markup:
        """Return text as HTML, with each word of the glossary explained where it occurs first."""
        seen: set[str] = set()
        parts, end = [], 0
        for found in _WORD.finditer(words):
            made = self._made(found[0]) if found[0] not in seen else None
            if made is not None:
                parts += [escape(words[end : found.start()]), made]
                seen.add(found[0])
                end = found.end()
        return _tied(Markup("").join([*parts, escape(words[end:])]))

    def header(self, name: str) -> Markup:
        """Return the name of a column as HTML, with its explanation."""
        found = meaning(name)
        terms = [term for term, words in METRICS.items() if words == found and term.lower() in name.lower()]
        self.used.update(terms[:1])
        return _tied(Markup('<abbr title="{}">{}</abbr>').format(found, name) if found else escape(name))

    def glossary(self) -> list[tuple[str, str]]:
        """Return words and meanings of this page, by name: for print, where nothing can be pointed at."""
        return [(term, _TERMS[term]) for term in sorted(self.used, key=str.casefold)]

    def _made(self, word: str) -> Markup | None:
        if word in _TERMS:
            self.used.add(word)
            return Markup('<abbr title="{}">{}</abbr>').format(_TERMS[word], word)
        if word.startswith(("/", ".")) or not (word.startswith("figures/") or (self.folder / word).is_file()):
            return None  # figures are moved to their folder when all are drawn
        return Markup('<a href="{}">{}</a>').format(quote(word), word)


def _tied(html: Markup) -> Markup:
    """Keep the last character of names of metrics in the line of their words."""
    return Markup(_TIED.sub("\\1\u00a0", str(html)))
