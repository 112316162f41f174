"""RNA has one strand: settings that read the other one are refused."""

from typing import TYPE_CHECKING

from biocnn.core.errors import InputError

if TYPE_CHECKING:
    from biocnn.config.settings import Settings

RNA = "ACGU"


def check_strands(settings: "Settings", alphabet: str | None) -> None:
    """Refuse settings that read reverse complements if sequences are RNA.

    Parameters
    ----------
    settings
        Settings of an experiment; sections augment, model and variants are checked.
    alphabet
        Alphabet of the sequences, ACGT or ACGU.

    Raises
    ------
    InputError
        Names all dotted keys that ask for the other strand.
    """
    if alphabet != RNA:
        return
    augment = settings.augment if isinstance(settings.augment, list) else []
    wrong = [f"augment.{i}: {one.name}" for i, one in enumerate(augment) if one.name == "reverse_complement"]
    sections = {"model": settings.model, "variants": settings.variants}
    wrong += [f"{key}.strands: both" for key, one in sections.items() if getattr(one, "strands", "") == "both"]
    if wrong:
        raise InputError(
            f"{'; '.join(wrong)}: the data are RNA, which has one strand",
            "leave out reverse_complement and set strands: single; for DNA set data.alphabet: DNA",
        )
