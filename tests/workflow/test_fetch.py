"""Downloads from a local server: complete, interrupted, changed, missing, offline; nothing is ever overwritten."""

import errno
import gzip
import hashlib
import io
import re
import socket
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from biocnn.core.errors import InputError
from biocnn.workflow.convert import DIGESTS, MAKE, digest_rows, digest_sequences
from biocnn.workflow.fetch import DataSet, Source, catalogue, download, fetch, read_sources

BODY = bytes(range(256)) * 2000  # 512,000 bytes


class Handler(BaseHTTPRequestHandler):
    """Serves ``server.published``; can cut replies after some bytes, and omit ranges or length."""

    def do_GET(self) -> None:
        body = self.server.published.get(unquote(self.path))
        if body is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        same = self.headers.get("If-Range") in (None, self.server.version)
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges and same else 0
        if first >= len(body) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first -= self.server.shift * bool(first)
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        if self.server.version:
            self.send_header("ETag", self.server.version)
        if self.server.length:
            self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else len(body)
        self.wfile.write(body[first : first + cut])
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.published: dict[str, bytes] = {"/data.bin": BODY}
        self.cuts: list[int] = []
        self.asked: list[str | None] = []
        self.ranges = self.length = True
        self.version: str | None = '"v1"'
        self.shift = 0  # difference between the range returned and the one requested

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=partial(running.serve_forever, poll_interval=0.01))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def get(server: Server, root: Path, *, name: str = "data.bin", path: str = "a/data.bin", **settings: str) -> str:
    sources = {"set": DataSet("about", "terms", [Source(f"{server.url}/{name}", path, **settings)])}
    [(target, outcome)] = fetch("set", root, sources)
    assert target == root / path
    return outcome


def leftovers(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_files_are_fetched_once_and_kept(server: Server, tmp_path: Path) -> None:
    digest = hashlib.sha256(BODY).hexdigest()
    assert get(server, tmp_path, sha256=digest) == "fetched"
    assert (tmp_path / "a/data.bin").read_bytes() == BODY
    assert get(server, tmp_path, sha256=digest) == "kept"
    assert len(server.asked) == 1
    subprocess.run(["sha256sum", "--check", "--status", "fetched.sha256"], cwd=tmp_path, check=True)
    assert leftovers(tmp_path) == ["data.bin", "fetched.sha256"]


def test_a_good_file_from_elsewhere_is_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/data.bin").write_bytes(BODY)
    assert get(server, tmp_path, sha256=hashlib.sha256(BODY).hexdigest()) == "kept"
    assert not server.asked


def test_sets_may_share_a_file(server: Server, tmp_path: Path) -> None:
    shared = DataSet("", "", [Source(f"{server.url}/data.bin", "data.bin")])
    sources = {"one": shared, "two": shared}
    assert [fetch(name, tmp_path, sources)[0][1] for name in sources] == ["fetched", "kept"]


def test_another_file_is_never_overwritten(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/data.bin").write_bytes(b"mine")
    for settings in ({"sha256": hashlib.sha256(BODY).hexdigest()}, {}):
        with pytest.raises(InputError, match=r"exists.*\n.*nothing is overwritten"):
            get(server, tmp_path, **settings)
    assert (tmp_path / "a/data.bin").read_bytes() == b"mine"


def test_an_interrupted_download_is_continued(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000, 50_000]
    assert get(server, tmp_path, sha256=hashlib.sha256(BODY).hexdigest()) == "fetched"
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_a_failed_download_is_continued_by_the_next_call(server: Server, tmp_path: Path) -> None:
    server.cuts = [1000] * 4
    with pytest.raises(InputError, match=r"cut after 4000 bytes\n.*run the same command again"):
        get(server, tmp_path)
    assert leftovers(tmp_path) == ["data.bin.part", "data.bin.part.of"]
    server.asked.clear()
    assert get(server, tmp_path, sha256=hashlib.sha256(BODY).hexdigest()) == "fetched"
    assert server.asked == ["bytes=4000-"]


def test_without_ranges_a_download_starts_again(server: Server, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, [1000]
    assert get(server, tmp_path, sha256=hashlib.sha256(BODY).hexdigest()) == "fetched"
    assert (tmp_path / "a/data.bin").read_bytes() == BODY


@pytest.mark.parametrize("held", [BODY, BODY + b"too much"])
def test_a_partial_file_that_is_complete_or_too_long(server: Server, tmp_path: Path, held: bytes) -> None:
    part = tmp_path / "x.part"
    part.write_bytes(held)
    download(f"{server.url}/data.bin", part, checked=True)
    assert part.read_bytes() == BODY


OTHER = BODY[::-1]


@pytest.mark.parametrize("version", ['"v2"', None])
def test_a_partial_file_is_never_combined_with_another_version(
    server: Server, tmp_path: Path, version: str | None
) -> None:
    """The file changes between attempts; only the server reveals it, because no checksum is known."""
    server.version = version and '"v1"'
    server.cuts = [1000] * 4
    with pytest.raises(InputError, match="cut after"):
        get(server, tmp_path)
    server.published["/data.bin"], server.version = OTHER, version
    assert get(server, tmp_path) == "fetched"
    assert (tmp_path / "a/data.bin").read_bytes() == OTHER
    assert leftovers(tmp_path) == ["data.bin", "fetched.sha256"]


@pytest.mark.parametrize("weak", [False, True])
def test_a_weak_etag_is_not_used(server: Server, tmp_path: Path, weak: bool) -> None:
    server.version, server.cuts = "W/" * weak + '"v1"', [1000]
    assert get(server, tmp_path) == "fetched"
    assert server.asked == [None, None if weak else "bytes=1000-"]


def test_another_range_than_requested(server: Server, tmp_path: Path) -> None:
    server.cuts, server.shift = [1000], 7
    assert get(server, tmp_path) == "fetched"
    assert (tmp_path / "a/data.bin").read_bytes() == BODY
    assert server.asked == [None, "bytes=1000-", None]


def test_a_reply_without_length_or_checksum_is_refused(server: Server, tmp_path: Path) -> None:
    server.length, server.cuts = False, [1000]
    with pytest.raises(InputError, match=r"sha256 .*expected"):  # incomplete, which could not be known before
        get(server, tmp_path, sha256=hashlib.sha256(BODY).hexdigest())
    assert get(server, tmp_path, sha256=hashlib.sha256(BODY).hexdigest()) == "fetched"
    server.published["/more.bin"] = BODY
    with pytest.raises(InputError, match=r"does not report the length .*\n.*compare it with the original"):
        get(server, tmp_path, name="more.bin", path="more.bin")
    assert leftovers(tmp_path) == ["data.bin", "fetched.sha256"]


def test_a_wrong_hash_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected 0000.*the download was removed"):
        get(server, tmp_path, sha256="0" * 64)
    assert leftovers(tmp_path) == []


def test_without_a_checksum_the_first_download_is_kept(server: Server, tmp_path: Path) -> None:
    assert get(server, tmp_path) == "fetched"
    assert get(server, tmp_path) == "kept"
    (tmp_path / "a/data.bin").unlink()
    server.published["/data.bin"] = BODY[:-1] + b"!"
    with pytest.raises(InputError, match="sha256 .*expected " + hashlib.sha256(BODY).hexdigest()):
        get(server, tmp_path)
    (tmp_path / "a/data.bin").write_bytes(b"changed by hand")
    with pytest.raises(InputError, match="nothing is overwritten"):
        get(server, tmp_path)


def test_contents_are_checked_whatever_the_compression(server: Server, tmp_path: Path) -> None:
    for name, text in {
        "one.fa": ">a\nACgt\nAC\n>b\nTTN\n",
        "two.fa": ">z\nttn\n>y\nACGTA\nC\n",
        "bad.fa": ">a\nACGA\n",
    }.items():
        server.published[f"/{name}"] = gzip.compress(text.encode())
    (tmp_path / "known.fa").write_text(">a\nACGTAC\n>b\nTTN\n")
    expected = digest_sequences(tmp_path / "known.fa")
    assert get(server, tmp_path, name="one.fa", path="one.fa.gz", sequences=expected) == "fetched"
    assert get(server, tmp_path, name="two.fa", path="two.fa.gz", sequences=expected) == "fetched"
    assert get(server, tmp_path, name="one.fa", path="known.fa", sequences=expected) == "kept"
    with pytest.raises(InputError, match="the digest of its sequences is"):
        get(server, tmp_path, name="bad.fa", path="bad.fa.gz", sequences=expected)
    assert not any("bad" in name for name in leftovers(tmp_path))


def test_gone(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.bin: 404 .*\n.*may have moved"):
        get(server, tmp_path, name="nothing.bin")
    assert leftovers(tmp_path) == []


def test_offline(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sources = {"set": DataSet("", "", [Source(f"http://127.0.0.1:{port}/x", "x")])}
    with pytest.raises(InputError, match=f"cannot reach 127.0.0.1:{port} .*refused.*\n.*offline"):
        fetch("set", tmp_path, sources)
    assert leftovers(tmp_path) == []


def test_disk_full(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "x.part"
    part.symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"No space left on device\n.*free some space") as caught:
        download(f"{server.url}/data.bin", part)
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no data set 'yeats'\n.*did you mean 'yeast'"):
        fetch("yeats", tmp_path, read_sources())


def test_deepbind_tables_become_fasta_and_labels(server: Server, tmp_path: Path) -> None:
    table = "FoldID\tEventID\tseq\tBound\nB\ts1_peak\tACGTA\t1\nB\ts1_shuf\tATCGA\t0\n"
    server.published["/set_(1)_B.seq.gz"] = gzip.compress(table.encode())
    for make, path in {
        "deepbind_fasta": "all.fa.gz",
        "deepbind_peaks": "peaks.fa.gz",
        "deepbind_labels": "l.tsv",
    }.items():
        assert get(server, tmp_path, name="set_(1)_B.seq.gz", path=path, make=make) == "fetched"
    assert gzip.decompress((tmp_path / "all.fa.gz").read_bytes()) == b">s1_peak\nACGTA\n>s1_shuf\nATCGA\n"
    assert gzip.decompress((tmp_path / "peaks.fa.gz").read_bytes()) == b">s1_peak\nACGTA\n"
    assert (tmp_path / "l.tsv").read_text() == "id\tlabel\ns1_peak\t1\ns1_shuf\t0\n"
    server.published["/set.gz"] = b"B\ts1\n"
    with pytest.raises(InputError, match="line 1: expected 4 columns, found 2"):
        get(server, tmp_path, name="set.gz", path="bad.tsv", make="deepbind_labels")


def test_spans_become_bed(server: Server, tmp_path: Path) -> None:
    server.published["/spans"] = b"30\t40\n2\t9\n"
    (tmp_path / "expected.bed").write_text("chr20\t30\t40\nchr20\t2\t9\tname\n")
    rows = digest_rows(tmp_path / "expected.bed")
    assert get(server, tmp_path, name="spans", path="peaks.bed", make="chr20_bed", rows=rows) == "fetched"
    assert (tmp_path / "peaks.bed").read_text() == "chr20\t2\t9\nchr20\t30\t40\n"


def test_a_zip_of_images_is_unpacked_and_indexed(server: Server, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("train/images/a.tif", "train/masks/a.tif", "test/images/b.tif", "test/masks/b.tif", "../evil.tif"):
            archive.writestr(f"set/{name}", name)
    server.published["/set.zip"] = packed.getvalue()
    for outcome in ("fetched", "kept"):
        assert get(server, tmp_path, name="set.zip", path="images/set", make="image_folders") == outcome
    assert (tmp_path / "images/set/train/masks/a.tif").read_text() == "train/masks/a.tif"
    assert (tmp_path / "images/set/index.csv").read_text().splitlines() == [
        "image,mask,split,group",
        "test/images/b.tif,test/masks/b.tif,test,b",
        "train/images/a.tif,train/masks/a.tif,train,a",
    ]
    assert not list(tmp_path.rglob("evil.tif"))


def test_numbered_files_are_indexed(server: Server, tmp_path: Path) -> None:
    files = []
    for kind in ("images", "masks", "fov"):
        source = Source(f"{server.url}/{kind}{{number:02d}}", f"eyes/train/{kind}/{{number:02d}}.gif", numbers=[9, 10])
        files += source.expand()
    server.published |= {f"/{kind}{n}": b"x" for kind in ("images", "masks", "fov") for n in ("09", "10")}
    fetch("eyes", tmp_path, {"eyes": DataSet("", "", files, index="eyes")})
    assert (tmp_path / "eyes/index.csv").read_text().splitlines() == [
        "image,mask,fov,split,group",
        "train/images/09.gif,train/masks/09.gif,train/fov/09.gif,train,09",
        "train/images/10.gif,train/masks/10.gif,train/fov/10.gif,train,10",
    ]


def test_the_list_of_data_sets_is_valid() -> None:
    sources = read_sources()
    for entry in sources.values():
        assert len({source.path for source in entry.files}) == len(entry.files)
        for source in entry.files:
            assert source.url.startswith("https://")
            assert not Path(source.path).is_absolute()
            assert source.make in MAKE
            assert all(len(value) == 64 for value in (source.sha256, source.sequences, source.rows) if value)
    text = catalogue(sources)
    assert all(f"{name}\n" in text for name in sources)


@pytest.mark.data
def test_digests_match_the_real_data(data_root: Path) -> None:
    checked = 0
    for entry in read_sources().values():
        for source in entry.files:
            path = data_root / source.path
            # The copies of the yeast peaks have other contig names: their digests were computed after renaming.
            if source.check in DIGESTS and path.exists() and "yeast_sacCer3/peaks" not in source.path:
                assert DIGESTS[source.check](path) == getattr(source, source.check), source.path
                checked += 1
    assert checked == 13


@pytest.mark.parametrize(
    "experiment",
    sorted((Path(__file__).parents[2] / "config" / "experiments").glob("*.yaml")),
    ids=lambda path: path.stem,
)
def test_experiments_find_the_fetched_files(experiment: Path) -> None:
    """Every file of an experiment belongs to the data set named in its first line."""
    text = experiment.read_text()
    named = re.search(r"biocnn fetch (\w+)", text)
    if not named:
        pytest.skip("its data are simulated, or not fetched")
    entry = read_sources()[named[1]]
    fetched = [source.path for source in entry.files]
    wanted = re.findall(r"(?:genomics|images)/[\w./]+", text)
    assert wanted
    for path in wanted:
        assert path in fetched or path.removesuffix("/index.csv") in (*fetched, entry.index), path
