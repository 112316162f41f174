"""Download of public data sets from their original addresses, with checksums; ``sources.yaml`` lists them."""

import errno
import re
from dataclasses import dataclass, field, replace
from http.client import HTTPException, HTTPResponse
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

import yaml
from tqdm import tqdm

from biocnn.core.errors import InputError, nearest
from biocnn.core.files import atomic, sha256
from biocnn.workflow.convert import DIGESTS, MAKE, write_index

ATTEMPTS, TIMEOUT, CHUNK = 4, 30, 1 << 16
NOTE = "fetched.sha256"  # in the data folder; `sha256sum --check` reads it too


@dataclass(frozen=True)
class Source:
    """One file of a data set: its address, its path in the data folder, and its checksum."""

    url: str
    path: str
    sha256: str | None = None
    sequences: str | None = None
    rows: str | None = None
    make: str = "as_is"
    numbers: tuple[int, int] | None = None

    @property
    def check(self) -> str:
        """Return what verifies the file: sha256, sequences, rows, or the first download."""
        return next((name for name in ("sha256", *DIGESTS) if getattr(self, name)), "first download")

    def expand(self) -> "list[Source]":
        """Return one source per number from ``numbers`` (first, last)."""
        if self.numbers is None:
            return [self]
        numbers = range(self.numbers[0], self.numbers[1] + 1)
        urls_paths = [(self.url.format(number=n), self.path.format(number=n)) for n in numbers]
        return [replace(self, url=url, path=path, numbers=None) for url, path in urls_paths]


@dataclass(frozen=True)
class DataSet:
    """A named set of files; ``index`` is a folder of images that gets an index table."""

    about: str
    terms: str
    files: list[Source] = field(default_factory=list)
    index: str | None = None


def read_sources(path: Path | None = None) -> dict[str, DataSet]:
    """Read data sets by name from ``sources.yaml`` or a file in the same format."""
    text = (path or files("biocnn.workflow") / "sources.yaml").read_text()
    return {
        name: DataSet(**{**entry, "files": [s for item in entry["files"] for s in Source(**item).expand()]})
        for name, entry in yaml.safe_load(text).items()
    }


def catalogue(sources: dict[str, DataSet]) -> str:
    """List the data sets, their terms, and what verifies each file, as text for users."""
    lines = []
    for name, entry in sources.items():
        checks = [source.check for source in entry.files]
        counted = ", ".join(f"{checks.count(check)} by {check}" for check in dict.fromkeys(checks))
        lines += [name, f"  {entry.about}", f"  terms: {entry.terms}", f"  files: {len(checks)}; checked: {counted}"]
    lines.append(
        "Checked by first download: the publisher gives no checksum; that of the first download is recorded in\n"
        f"{NOTE} in the data folder, and later downloads must match it."
    )
    return "\n".join(lines)


def fetch(name: str, root: str | Path, sources: dict[str, DataSet]) -> list[tuple[Path, str]]:
    """Download the missing files of a data set; an interrupted download is resumed.

    Parameters
    ----------
    name
        A key of ``sources``.
    root
        Folder that paths in experiments start at (``data_root``).
    sources
        Data sets by name, from ``read_sources``.

    Returns
    -------
    outcomes
        Path of each file, and ``"fetched"`` or ``"kept"``.

    Raises
    ------
    InputError
        If the name is unknown, the address is unreachable or gone, the disk is full, the download does not match its
        checksum, or a different file exists at the path: nothing is ever overwritten.
    """
    if name not in sources:
        raise InputError(f"no data set {name!r}", nearest(name, sources) + "; `biocnn fetch` describes them")
    root, entry, outcomes = Path(root), sources[name], []
    with tqdm(entry.files, desc=name, unit="file") as progress:
        for source in progress:
            target = root / source.path
            outcomes.append((target, _fetch_file(source, target, root / NOTE)))
    if entry.index and not (root / entry.index / "index.csv").exists():
        write_index(root / entry.index)
    return outcomes


def _fetch_file(source: Source, target: Path, note: Path) -> str:
    """Fetch one file unless it exists; ``note`` holds the checksums of earlier downloads."""
    recorded = _read_note(note)
    if target.exists():
        _check_existing(source, target, recorded)
        return "kept"
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    expected = source.sha256 or recorded.get(source.url)
    download(source.url, part, checked=expected is not None or source.check in DIGESTS)
    got = sha256(part)
    if expected and got != expected:
        part.unlink()
        raise InputError(
            f"{source.url}: sha256 {got}, expected {expected}; the download was removed",
            "fetch again; if the error persists, the publisher has changed the file: compare both before you use it",
        )
    try:
        with atomic(target) as temporary:
            MAKE[source.make](part, temporary)
            _check_contents(source, temporary)
    finally:
        part.unlink(missing_ok=True)
    _add_to_note(note, source, got, target)
    return "fetched"


def _check_existing(source: Source, target: Path, recorded: dict[str, str]) -> None:
    """Raise an error unless ``target`` is what would be fetched."""
    known = recorded.get(source.path) or (source.sha256 if source.make == "as_is" else None)
    if target.is_dir():
        right = source.url in recorded
    elif known:
        right = sha256(target) == known
    else:
        right = source.check in DIGESTS and _contents(source, target) == getattr(source, source.check)
    if not right:
        raise InputError(
            f"{target}: exists, but cannot be verified to be the file from {source.url}",
            "nothing is overwritten: move or remove it, or give another folder with --to",
        )


def _contents(source: Source, path: Path) -> str:
    return DIGESTS[source.check](path)


def _check_contents(source: Source, path: Path) -> None:
    if source.check in DIGESTS and (got := _contents(source, path)) != getattr(source, source.check):
        raise InputError(
            f"{source.url}: the digest of its {source.check} is {got}, expected {getattr(source, source.check)}",
            "the file was changed, by the publisher or in transit: compare before you use it",
        )


def _read_note(note: Path) -> dict[str, str]:
    """Return the recorded SHA-256 by path and by address."""
    if not note.exists():
        return {}
    pairs = (line.removeprefix("# ").split(maxsplit=1) for line in note.read_text().splitlines())
    return {name: digest for digest, name in pairs}


def _add_to_note(note: Path, source: Source, download_sha256: str, target: Path) -> None:
    """Record a download: its checksum as a comment, that of the file as a line for ``sha256sum``."""
    with open(note, "a") as handle:
        handle.write(f"# {download_sha256}  {source.url}\n")
        if target.is_file():
            handle.write(f"{sha256(target)}  {source.path}\n")


def download(url: str, part: Path, *, checked: bool = False) -> None:
    """Download ``url`` into ``part``, or resume the download.

    It resumes if the server confirms that the file is unchanged (by its ``ETag`` or modification time, which are kept
    in a file next to ``part``), or if a checksum is verified later; otherwise it starts over.

    Parameters
    ----------
    url
        http or https.
    part
        The file to write.
    checked
        Whether a known checksum is verified afterwards.

    Raises
    ------
    InputError
        If the download fails, or nothing can verify that it is complete.
    """
    mark = part.with_name(part.name + ".of")
    for _ in range(ATTEMPTS):
        if _attempt(url, part, mark, checked):
            mark.unlink(missing_ok=True)
            return
    size = part.stat().st_size if part.exists() else 0
    raise InputError(
        f"{url}: the connection was cut after {size} bytes", "run the same command again: it resumes if it can"
    )


def _attempt(url: str, part: Path, mark: Path, checked: bool) -> bool:
    """Make one attempt; return whether the file is complete."""
    version, have = _version_of(url, mark), part.stat().st_size if part.exists() else 0
    if have and not (version or checked):
        part.unlink()
        have = 0
    headers = {"User-Agent": "biocnn"}
    if have:
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": version} if version else {})
    try:
        response = urlopen(Request(quote(url, safe=":/%?=&"), headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416 and have:  # no bytes after ours: the file is complete, or ours are not of this file
            whole = error.headers.get("Content-Range", "") == f"bytes */{have}"
            if not whole:
                part.unlink()
            return whole
        raise InputError(
            f"{url}: {error.code} {error.reason}", "the publisher may have moved it: see biocnn/workflow/sources.yaml"
        ) from error
    except (URLError, OSError, HTTPException) as error:
        raise InputError(
            f"{url}: cannot reach {urlsplit(url).netloc} ({getattr(error, 'reason', error)})",
            "is this machine offline? on a cluster, run the same command on a node with network access",
        ) from error
    with response:
        first, total = _extent(response)
        if first not in (0, have):  # not the range that was requested
            part.unlink(missing_ok=True)
            return False
        ends = total is not None or response.headers.get("Transfer-Encoding", "").lower() == "chunked"
        if not (ends or checked):
            raise InputError(
                f"{url}: the server does not report the length of the file, and no checksum is known: a complete "
                "download cannot be verified",
                f"download it in another way, compare it with the original, and save it as {part.stem}",
            )
        if not first:
            _note_version(url, response, mark)
        ended = _write_body(response, part, first, total)
    return ended if total is None else part.stat().st_size == total


def _extent(response: HTTPResponse) -> tuple[int, int | None]:
    """Return the offset of a reply and the length of the whole file; -1 and None if not reported."""
    length = response.headers.get("Content-Length", "")
    if response.status != 206:
        return 0, int(length) if length.isdecimal() else None
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if not found:
        return -1, None
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _version_of(url: str, mark: Path) -> str | None:
    """Return the version of the partial file, by which the server detects whether the file has changed."""
    lines = mark.read_text(encoding="utf-8").splitlines() if mark.exists() else []
    return lines[1] if len(lines) == 2 and lines[0] == url else None


def _note_version(url: str, response: HTTPResponse, mark: Path) -> None:
    etag = response.headers.get("ETag", "")
    version = response.headers.get("Last-Modified") if not etag or etag.startswith("W/") else etag
    if version:
        mark.write_text(f"{url}\n{version}\n", encoding="utf-8")
    else:
        mark.unlink(missing_ok=True)


def _write_body(response: HTTPResponse, part: Path, have: int, total: int | None) -> bool:
    """Append a reply after the first ``have`` bytes; return whether it ended without error."""
    bar = tqdm(total=total, initial=have, desc=part.stem, unit="B", unit_scale=True, leave=False)
    with bar, open(part, "ab" if have else "wb") as handle:
        while True:
            try:
                chunk = response.read(CHUNK)
            except (OSError, HTTPException):
                return False
            if not chunk:
                return True
            _write(handle, chunk, part)
            bar.update(len(chunk))


def _write(handle: BinaryIO, chunk: bytes, part: Path) -> None:
    try:
        handle.write(chunk)
        handle.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"{part}: {error.strerror}", "free some space, or give another folder with --to; then run it again"
        ) from error
