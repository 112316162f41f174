"""Packages that only an extra of biocnn installs: ``pip install 'biocnn[medical]'``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from biocnn.core.errors import InputError


@contextmanager
def needs(extra: Literal["genomics", "medical", "workflow", "zarr"], what: str) -> Iterator[None]:
    """A context for imports of packages that an extra installs.

    Parameters
    ----------
    extra
        Key of ``optional-dependencies`` in pyproject.toml.
    what
        What the packages are needed for; the subject of the message.

    Raises
    ------
    InputError
        If a package is missing; names the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("biocnn"):
            raise
        raise InputError(
            f"{what} needs the package {error.name}, which is not installed", f"pip install 'biocnn[{extra}]'"
        ) from error
