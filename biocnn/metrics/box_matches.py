"""Classify boxes as matched, missed, false, confused or doubled."""

import numpy as np
import pandas as pd

from biocnn.metrics.boxes import box_iou, partners_of


def match_boxes(found: np.ndarray, truth: np.ndarray, *, threshold: float = 0.5) -> pd.DataFrame:
    """Classify each detection and true box of an image.

    Parameters
    ----------
    found
        Detections, (M, 2 + 2 D), in any order.
    truth
        True boxes, (G, 1 + 2 D).
    threshold
        Smallest IoU of a match, as in `match_detections`.

    Returns
    -------
    boxes
        One row per detection, highest score first, then one per true box without any:

        - ``matched``: matched with a true box of the same class;
        - ``confused``: matched with a true box of another class, of those that remain;
        - ``doubled``: at a true box that is matched or confused already;
        - ``ignored``: in a region that is not judged;
        - ``false``: any other detection;
        - ``missed``: a true box without a matched or confused detection.

        Columns kind; label and target_label, numbers of the classes (-1: none); score; iou of the pair or, for false
        and missed boxes, the largest with any other; and the corners y_min, x_min, y_max, x_max, in 3D after z_min and
        z_max, of the detection or the missed box.
    """
    found = found[np.argsort(-found[:, 1], kind="stable")]
    rows, labels = np.arange(len(found)), np.append(truth[:, 0], -1).astype(int)  # the last is no true box
    unjudged = labels < 0
    unjudged[-1] = False
    iou = np.pad(box_iou(found[:, 2:], truth[:, 1:], unjudged[:-1]), ((0, 0), (0, 1)))
    same = found[:, :1] == labels
    partners = partners_of(iou * (same | unjudged), unjudged, threshold)
    kinds = np.where(unjudged[partners], "ignored", np.where(partners < 0, "false", "matched")).astype(object)
    alone = partners < 0
    free = ~unjudged & ~np.isin(np.arange(len(labels)), partners)
    partners[alone] = partners_of(iou[alone] * free, unjudged, threshold)
    kinds[alone & (partners >= 0)] = "confused"
    largest = (iou * ~unjudged).max(axis=1)
    doubled = (partners < 0) & (largest >= threshold)
    partners[doubled], kinds[doubled] = (iou * ~unjudged).argmax(axis=1)[doubled], "doubled"
    missed = np.setdiff1d(np.flatnonzero(labels >= 0), partners)
    table = pd.DataFrame(
        {
            "kind": [*kinds, *["missed"] * len(missed)],
            "label": [*found[:, 0].astype(int), *[-1] * len(missed)],
            "target_label": [*labels[partners], *labels[missed]],
            "score": [*found[:, 1].astype(float), *[np.nan] * len(missed)],
            "iou": [*np.where(partners < 0, largest, iou[rows, partners]), *iou[:, missed].max(axis=0, initial=0)],
        }
    )
    axes = "zyx"[-(truth.shape[1] // 2) :]
    names = [f"{axis}_{end}" for end in ("min", "max") for axis in axes]
    corners = np.concatenate([found[:, 2:], truth[missed, 1:]])
    return table.assign(**dict(zip(names, corners.T, strict=True)))
