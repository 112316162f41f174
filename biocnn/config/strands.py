"""RNA has one strand: what reads the other one is refused."""

from typing import Any

from biocnn.core.errors import InputError

RNA = "ACGU"


def check_strands(settings: dict[str, Any], alphabet: str | None) -> None:
    """Refuse whatever reads reverse complements where sequences are RNA.

    Parameters
    ----------
    settings
        An experiment: its sections augment, model and, where there is one, variants are looked at.
    alphabet
        Of the sequences, ACGT or ACGU; None of images.

    Raises
    ------
    InputError
        Names all dotted keys that ask for the other strand.
    """
    if alphabet != RNA:
        return
    augment = settings["augment"] if isinstance(settings["augment"], list) else []
    wrong = [f"augment.{i}: {one['name']}" for i, one in enumerate(augment) if one["name"] == "reverse_complement"]
    wrong += [f"{key}.strands: both" for key in ("model", "variants") if settings.get(key, {}).get("strands") == "both"]
    if wrong:
        raise InputError(
            f"{'; '.join(wrong)}: the data are RNA, of which the cell has one strand",
            "leave out reverse_complement and set strands: single; for DNA set data.alphabet: DNA",
        )
