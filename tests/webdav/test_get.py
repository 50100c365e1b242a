"""GET and HEAD."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.files.api import Buffer, Entry, Reader
from bridge.files.errors import DamagedFile
from bridge.files.path import Path
from bridge.http.limits import BLOCK
from bridge.state.api import Locks
from bridge.store.closing import Closing
from tests.files.model_tree import ModelTree
from tests.webdav.client import Client
from tests.webdav.server import Running, running

TEXT = b"0123456789" * 10


@pytest.fixture
def etag(dav: Client) -> str:
    """The etag of /a.txt, which holds TEXT."""
    return dav("PUT", "/a.txt", TEXT).header("ETag") or ""


def test_a_file_comes_back_whole_with_its_validators(dav: Client, etag: str) -> None:
    reply = dav("GET", "/a.txt")
    assert (reply.status, reply.body) == (200, TEXT)
    assert reply.header("ETag") == etag
    assert reply.header("Content-Length") == "100"
    assert reply.header("Content-Type") == "text/plain"
    assert reply.header("Accept-Ranges") == "bytes"
    assert (reply.header("Last-Modified") or "").endswith(" GMT")


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17])
def test_sizes_around_a_block_are_kept(dav: Client, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    assert dav("PUT", "/f", content[:size]).status == 201
    reply = dav("GET", "/f")
    assert len(reply.body) == size
    assert reply.body == content[:size]


def test_head_says_what_get_would_without_a_body(dav: Client, etag: str) -> None:
    got, head = dav("GET", "/a.txt"), dav("HEAD", "/a.txt")
    assert head.status == 200
    assert head.body == b""
    for name in ("ETag", "Content-Length", "Content-Type", "Last-Modified"):
        assert head.header(name) == got.header(name)


@pytest.mark.parametrize(
    ("asked", "content_range", "body"),
    [
        ("bytes=0-9", "bytes 0-9/100", TEXT[:10]),
        ("bytes=95-", "bytes 95-99/100", TEXT[95:]),
        ("bytes=-1", "bytes 99-99/100", TEXT[99:]),
    ],
)
def test_a_range_is_served(
    dav: Client, etag: str, asked: str, content_range: str, body: bytes
) -> None:
    reply = dav("GET", "/a.txt", Range=asked)
    assert (reply.status, reply.body) == (206, body)
    assert reply.header("Content-Range") == content_range
    assert reply.header("ETag") == etag


def test_a_range_across_blocks_is_exact(dav: Client) -> None:
    content = bytes(range(251)) * 20_000
    dav("PUT", "/big", content)
    start, end = BLOCK - 3, 4 * BLOCK + 5
    reply = dav("GET", "/big", Range=f"bytes={start}-{end}")
    assert reply.status == 206
    assert reply.body == content[start : end + 1]


def test_several_ranges_come_as_parts(dav: Client, etag: str) -> None:
    reply = dav("GET", "/a.txt", Range="bytes=0-1,50-51,-2")
    kind = reply.header("Content-Type") or ""
    assert reply.status == 206
    assert kind.startswith("multipart/byteranges; boundary=")
    boundary = kind.partition("boundary=")[2].encode()
    parts = reply.body.split(b"\r\n--" + boundary)
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    heads = [part.strip(b"\r\n").split(b"\r\n\r\n") for part in parts[1:-1]]
    assert [body for _, body in heads] == [b"01", b"01", b"89"]
    assert [
        b"Content-Range: bytes %d-%d/100" % r in h
        for r, (h, _) in zip([(0, 1), (50, 51), (98, 99)], heads, strict=True)
    ] == [True] * 3


def test_a_range_beyond_the_end_is_416_with_the_size(dav: Client, etag: str) -> None:
    reply = dav("GET", "/a.txt", Range="bytes=100-")
    assert reply.status == 416
    assert reply.header("Content-Range") == "bytes */100"


@pytest.mark.parametrize(("version", "status"), [("current", 206), ('"other"', 200)])
def test_if_range_of_another_version_gets_the_whole(
    dav: Client, etag: str, version: str, status: int
) -> None:
    given = etag if version == "current" else version
    reply = dav("GET", "/a.txt", Range="bytes=0-0", If_Range=given)
    assert reply.status == status
    assert len(reply.body) == (1 if status == 206 else 100)


def test_an_unchanged_file_is_304_with_its_etag(dav: Client, etag: str) -> None:
    reply = dav("GET", "/a.txt", If_None_Match=etag)
    assert (reply.status, reply.body) == (304, b"")
    assert reply.header("ETag") == etag
    date = dav("HEAD", "/a.txt").header("Last-Modified") or ""
    assert dav("GET", "/a.txt", If_Modified_Since=date).status == 304
    assert dav("HEAD", "/a.txt", If_Match='"other"').status == 412


def test_a_missing_file_is_404_and_a_file_is_no_folder(dav: Client, etag: str) -> None:
    assert dav("GET", "/none").status == 404
    assert dav("GET", "/a.txt/below").status == 404


def test_a_stored_page_cannot_act_in_a_browser(dav: Client) -> None:
    dav("PUT", "/evil.html", b"<script>alert(1)</script>")
    reply = dav("GET", "/evil.html")
    assert "sandbox" in (reply.header("Content-Security-Policy") or "")
    assert reply.header("X-Content-Type-Options") == "nosniff"
    assert (reply.header("Content-Disposition") or "").startswith("attachment")
    dav("PUT", "/harmless.png", b"x")
    assert dav("GET", "/harmless.png").header("Content-Disposition") is None


def test_a_folder_is_listed_for_people_with_names_escaped(dav: Client) -> None:
    dav("MKCOL", "/d")
    dav("PUT", "/d/%3Cimg%20src=x%3E", b"x")
    dav("PUT", "/d/javascript%3Aalert(1)", b"x")
    reply = dav("GET", "/d/")
    assert reply.status == 200
    assert b"<img" not in reply.body
    assert b"&lt;img src=x&gt;" in reply.body
    assert b'href="/dav/d/javascript' in reply.body
    assert dav("GET", "/d").body == reply.body
    assert dav("HEAD", "/d/").status == 200
    assert b'href="/dav/d/"' in dav("GET", "/").body


@pytest.mark.parametrize(
    ("name", "declared", "kind"),
    [
        ("a.jpg", None, "image/jpeg"),
        ("a.bin", None, "application/octet-stream"),
        ("a.odt", "application/octet-stream", "application/vnd.oasis.opendocument.text"),
        ("a.txt", "application/x-www-form-urlencoded", "text/plain"),
        ("a", "text/x-special; charset=utf-8", "text/x-special; charset=utf-8"),
        ("a", "not a type", "application/octet-stream"),
    ],
)
def test_the_type_is_what_the_client_meant_else_what_the_name_tells(
    dav: Client, name: str, declared: str | None, kind: str
) -> None:
    dav("PUT", "/" + name, b"x", {"Content-Type": declared} if declared else {})
    assert dav("GET", "/" + name).header("Content-Type") == kind


class _Breaking(ModelTree):
    """A tree whose content is damaged after its first block."""

    def open(  # type: ignore[override]  # the model promises its own class
        self, path: Path, offset: int = 0, length: int | None = None, *, etag: str | None = None
    ) -> Reader:
        return _BreakingReader(super().open(path, offset, length, etag=etag))


class _BreakingReader(Closing):
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._reads = 0

    @property
    def entry(self) -> Entry:
        return self._reader.entry

    def read(self, size: int) -> Buffer:
        self._reads += 1
        if self._reads > 2:
            raise DamagedFile("tampered with")
        return self._reader.read(size)

    def close(self) -> None:
        self._reader.close()


@pytest.fixture
def breaking(locks: Locks) -> Iterator[Running]:
    with running(_Breaking(), locks) as server:
        yield server


def test_damage_in_the_middle_cuts_the_connection_and_never_ends_clean(
    breaking: Running,
) -> None:
    dav = breaking.client()
    dav("PUT", "/big", bytes(8 * BLOCK))
    with dav.raw() as raw:
        raw.send("GET", "/big")
        with pytest.raises((EOFError, ConnectionResetError)):
            raw.reply()
    assert breaking.served[-1].status == 499
    assert dav("GET", "/big", Range="bytes=0-9").status == 206
