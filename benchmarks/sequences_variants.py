"""Agreement of predicted variant effects with published scores and with measurements.

python -m benchmarks.sequences_variants published MODEL...          DeepBind's own scores of 5,130 promoter variants
python -m benchmarks.sequences_variants measured ELEMENT MODEL...   a saturation mutagenesis reporter assay
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from scipy.stats import pearsonr, spearmanr

from benchmarks.data import ROOT
from biocnn.apply.variants.step import annotate
from biocnn.io.genome import Genome, read_genome
from biocnn.prediction.model import Model

GENOMICS = Path(os.environ.get("BIOCNN_DATA", ROOT / ".." / "shared" / "data")) / "genomics"
LARGEST = 200  # number of published changes compared; nearly all others are outside of any site
TAGS = 10  # minimum number of barcodes of a reliable effect


def changes(vcf: Path, genome: Genome, models: Sequence[Path], **settings: object) -> pd.DataFrame:
    """Return the table of the variants of a file, with the change for the first output."""
    loaded = [Model(path) for path in models]
    with tempfile.TemporaryDirectory() as folder:
        annotate(vcf, loaded, genome, Path(folder), maps=0, **settings)
        table = pd.read_csv(Path(folder) / "variants.tsv", sep="\t")
    kind = "delta" if loaded[0].facts.task == "regression" else "dlogit"
    name = next(column for column in table if column.endswith(f"_{kind}"))
    return table.rename(columns={name: "change"})


def published(models: Sequence[Path], factor: str = "CTCF", largest: int = LARGEST) -> dict[str, float]:
    """Compute Spearman correlation with the change of DeepBind's published score, over its largest changes.

    Parameters
    ----------
    models
        Models of the factor.
    factor
        Name of the published model: CTCF, FOXA1, EGR1, GATA4, HNF4A, ...
    largest
        Number of largest changes.
    """
    folder = GENOMICS / "human_chr20_hg19"
    theirs = pd.read_csv(folder / "deepbind_published_variant_scores.tsv.gz", sep="\t", index_col="variant_id")
    scores = {
        side: next(c for c in theirs if c.startswith(f"{factor}_") and c.endswith(side)) for side in ("ref", "alt")
    }
    change = theirs[scores["alt"]] - theirs[scores["ref"]]
    vcf = folder / "promoter_snvs_deepfind_chr20.vcf.gz"
    ours = changes(vcf, read_genome(folder / "chr20.fa.gz"), models).set_index("id")["change"]
    top = change.abs().sort_values(ascending=False, kind="stable").index[:largest]
    both = pd.DataFrame({"theirs": change, "ours": ours})
    return {
        "variants": len(both),
        "largest": float(spearmanr(*both.loc[top].to_numpy().T).statistic),
        "all": float(spearmanr(*both.to_numpy().T).statistic),
    }


def measured(element: str, models: Sequence[Path], tags: int = TAGS) -> dict[str, float]:
    """Compute Pearson correlation with the measured effect, log2, of the substitutions of an element.

    Parameters
    ----------
    element
        Name of the element: HNF4A, LDLR, F9, SORT1, PKLR-24h, ...
    models
        Models to score with.
    tags
        Variants with fewer barcodes are omitted.
    """
    folder = GENOMICS / "satmut_mpra"
    effects = pd.read_csv(folder / "variant_effects.tsv.gz", sep="\t")
    trusted = effects[(effects["element"] == element) & (effects["barcodes"] >= tags)].set_index("variant_id")
    table = changes(folder / "variants.vcf.gz", read_genome(folder / "elements.fa"), models).set_index("id")["change"]
    return {
        "variants": len(trusted),
        "pearson": float(pearsonr(trusted["log2_effect"], table[trusted.index]).statistic),
        "size": float(pearsonr(trusted["log2_effect"].abs(), table[trusted.index].abs()).statistic),
    }


def main() -> None:
    """Print a comparison."""
    torch.set_num_threads(1)
    what, *rest = sys.argv[1:]
    if what == "published":
        print(published([Path(path) for path in rest]))
    else:
        print(rest[0], measured(rest[0], [Path(path) for path in rest[1:]]))


if __name__ == "__main__":
    main()
