"""A recurrent network explained by mutagenesis: an RNA motif in U-rich sequences, on the given strand only.

As in CLIP, some negatives have the site, too.
"""

import numpy as np
import torch
from torch import nn

from biocnn.core.checks import Checks
from biocnn.explain import explain_sequences, write_sequences
from biocnn.io.meme import Motif, read_meme
from biocnn.models import DanQ
from biocnn.nn.encode import one_hot

SITE = np.array(["ACGU".index(base) for base in "UGUAAAUA"], dtype=np.uint8)


def _planted(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = rng.choice(4, size=(number, 40), p=(0.2, 0.15, 0.15, 0.5)).astype(np.uint8)
    for row in [*codes[::2], *codes[1::10]]:
        start = rng.integers(0, 40 - len(SITE))
        row[start : start + len(SITE)] = SITE
    return codes, (np.arange(number) % 2 == 0).astype(np.float32)


def _trained() -> DanQ:
    torch.manual_seed(0)
    codes, target = _planted(1600, 1)
    x, y = one_hot(torch.from_numpy(codes)), torch.from_numpy(target)[:, None]
    model = DanQ(1, 4, 1, channels=16, kernel_size=9, pool=4, recurrent=4, dropout=0.0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.02)
    for step in range(100):
        rows = (step * 64 + torch.arange(64)) % 1600
        loss = nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


def test_a_planted_rna_motif_is_found_by_mutagenesis_on_its_strand(tmp_path) -> None:
    model, (codes, target) = _trained(), _planted(400, 2)
    with torch.no_grad():
        probability = model(one_hot(torch.from_numpy(codes))).sigmoid().numpy()
    rng = np.random.default_rng(0)
    database = {f"D{i}": Motif(f"D{i}", f"decoy{i}", rng.dirichlet([0.3] * 4, size=8), 20) for i in range(60)}
    truth = np.full((len(SITE), 4), 0.02)
    truth[np.arange(len(SITE)), SITE] = 0.94
    database["+"] = Motif("+", "planted", truth, 100)
    database["-"] = Motif("-", "reverse complement", truth[::-1, ::-1], 100)
    found = explain_sequences(
        model, codes, target, probability, [*map(str, range(400))], database, Checks(), alphabet="ACGU", n_examples=2
    )
    assert str(found.attributions["method"]) == "mutagenesis"
    best = found.seqlet_matches.iloc[0]
    assert (best["target_name"], best["strand"]) == ("planted", "+")
    assert best["q_value"] < 1e-3
    assert set(found.seqlets.sites["strand"]) <= {"+", "."}
    assert set(found.similar["strand"]) == {"+"}
    write_sequences(tmp_path, found)
    text = (tmp_path / "seqlet_motifs.meme").read_text()
    assert "ALPHABET= ACGU" in text
    assert "strands" not in text
    assert len(read_meme(tmp_path / "seqlet_motifs.meme")) == len(found.seqlets.motifs)
