"""curl: uploads, overwrites, ranges, preconditions, odd names and streams of unknown length."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.dav import Dav
from tests.clients.names import content, odd_files, sha256, write_tree
from tests.clients.programs import run
from tests.processes import Demo
from tests.tools import require_tool


class Curl:
    """The curl program, signed in to the demo."""

    def __init__(self, demo: Demo, dav: Dav, scratch: Path) -> None:
        self._program = require_tool("curl")
        self._dav = dav
        self._netrc = scratch / "netrc"
        self._netrc.write_text(
            f"machine 127.0.0.1 login {demo.username} password {demo.password}\n"
        )
        self._netrc.chmod(0o600)
        self._output = scratch / "output"
        self.sent = 0
        """Bytes of body that the last call uploaded."""

    def __call__(
        self, path: str, *options: str | Path, into: Path | None = None
    ) -> tuple[int, bytes]:
        """Transfer ``path`` with further ``options``; returns the last status, and the body.

        The body goes to the file ``into``, which may hold its beginning already.
        """
        self._output.unlink(missing_ok=True)
        output = into or self._output
        done = run([
            self._program, "--silent", "--show-error", "--globoff", "--path-as-is",
            "--netrc-file", self._netrc, "--output", output,
            "--write-out", "%{http_code} %{size_upload}", *options, self._dav.href(path),
        ])  # fmt: skip
        status, sent = done.stdout.split()
        self.sent = int(sent)
        return int(status), output.read_bytes() if output.exists() else b""


@pytest.fixture
def curl(demo: Demo, dav: Dav, tmp_path: Path) -> Curl:
    return Curl(demo, dav, tmp_path)


def test_curl_uploads_and_overwrites(curl: Curl, dav: Dav, folder: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(content("first", 100_000))
    second.write_bytes(content("second", 50_000))
    assert curl(f"{folder}/file", "--upload-file", first)[0] == 201
    old = dav.request("HEAD", f"{folder}/file").etag
    assert curl(f"{folder}/file") == (200, first.read_bytes())
    assert curl(f"{folder}/file", "--upload-file", second)[0] == 204
    assert dav.request("HEAD", f"{folder}/file").etag != old
    assert curl(f"{folder}/file") == (200, second.read_bytes())
    assert curl(f"{folder}/file", "--request", "DELETE")[0] == 204
    assert curl(f"{folder}/file")[0] == 404


def test_curl_reads_ranges_and_resumes_a_download(
    curl: Curl, dav: Dav, folder: str, tmp_path: Path
) -> None:
    data = content("ranges", 200_000)
    dav.put(f"{folder}/file", data)
    assert curl(f"{folder}/file", "--range", "0-0") == (206, data[:1])
    assert curl(f"{folder}/file", "--range", "65530-65545") == (206, data[65530:65546])
    assert curl(f"{folder}/file", "--range", "199990-") == (206, data[199990:])
    assert curl(f"{folder}/file", "--range", "-7") == (206, data[-7:])
    assert curl(f"{folder}/file", "--range", "200000-")[0] == 416
    part = tmp_path / "part"
    part.write_bytes(data[:70_000])
    assert curl(f"{folder}/file", "--continue-at", "-", into=part) == (206, data)


def test_curl_overwrites_only_the_version_it_names(
    curl: Curl, dav: Dav, folder: str, tmp_path: Path
) -> None:
    old = dav.put(f"{folder}/file", b"old").etag or dav.request("HEAD", f"{folder}/file").etag
    current = dav.put(f"{folder}/file", b"current").etag
    current = current or dav.request("HEAD", f"{folder}/file").etag
    new = tmp_path / "new"
    new.write_bytes(b"new")
    put = ("--upload-file", new, "--header")
    assert curl(f"{folder}/file", *put, f"If-Match: {old}")[0] == 412
    assert curl(f"{folder}/file", *put, "If-None-Match: *")[0] == 412
    assert curl(f"{folder}/absent", *put, "If-Match: *")[0] == 412
    assert dav.get(f"{folder}/file") == b"current"
    assert curl(f"{folder}/file", "--header", f"If-None-Match: {current}") == (304, b"")
    assert curl(f"{folder}/file", *put, f"If-Match: {current}")[0] == 204
    assert dav.get(f"{folder}/file") == b"new"


def test_curl_keeps_odd_names(curl: Curl, dav: Dav, folder: str, tmp_path: Path) -> None:
    files = odd_files()
    write_tree(tmp_path / "up", files)
    dav.mkcol(f"{folder}/moved")
    for name, data in files.items():
        assert curl(f"{folder}/{name}", "--upload-file", tmp_path / "up" / name)[0] == 201
        assert curl(f"{folder}/{name}") == (200, data)
    assert dav.names(folder) == sorted([*files, "moved"])
    for name, data in files.items():
        there = f"Destination: {dav.href(f'{folder}/moved/{name}')}"
        assert curl(f"{folder}/{name}", "--request", "COPY", "--header", there)[0] == 201
        overwriting = curl(f"{folder}/{name}", "--request", "MOVE", "--header", there)[0]
        assert overwriting == 204
        assert curl(f"{folder}/moved/{name}") == (200, data)
    assert dav.names(f"{folder}/moved") == sorted(files)
    assert dav.names(folder) == ["moved"]


def test_curl_finds_a_file_by_either_normalization_of_its_name(
    curl: Curl, dav: Dav, folder: str, tmp_path: Path
) -> None:
    composed, decomposed = (
        "\N{LATIN SMALL LETTER E WITH ACUTE}.txt",
        "e\N{COMBINING ACUTE ACCENT}.txt",
    )
    local = tmp_path / "file"
    local.write_bytes(b"one file")
    assert curl(f"{folder}/{decomposed}", "--upload-file", local)[0] == 201
    assert curl(f"{folder}/{composed}") == (200, b"one file")
    assert curl(f"{folder}/{composed}", "--upload-file", local)[0] == 204
    assert dav.names(folder) == [decomposed]
    there = f"Destination: {dav.href(f'{folder}/{composed}')}"
    moved = curl(f"{folder}/{decomposed}", "--request", "MOVE", "--header", there)[0]
    assert moved in (201, 204)
    assert dav.names(folder) == [composed]
    assert curl(f"{folder}/{decomposed}") == (200, b"one file")


def test_curl_streams_a_large_file_of_unknown_length(
    curl: Curl, dav: Dav, folder: str, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.write_bytes(content("large", 40 << 20))
    chunked = ("--upload-file", large, "--header", "Transfer-Encoding: chunked")
    assert curl(f"{folder}/large", *chunked)[0] == 201
    assert dav.sha256(f"{folder}/large") == sha256(large.read_bytes())
    assert curl(f"{folder}/large", "--upload-file", large, "--http1.0")[0] == 204
    assert dav.sha256(f"{folder}/large") == sha256(large.read_bytes())


def test_curl_asks_before_it_sends_a_body_in_vain(curl: Curl, folder: str, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(8 << 20))
    upload = ("--upload-file", large, "--expect100-timeout", "60")
    assert curl(f"{folder}/no/such/folder", *upload)[0] == 409
    assert curl.sent == 0


def test_curl_cannot_patch_a_file_by_content_range(
    curl: Curl, dav: Dav, folder: str, tmp_path: Path
) -> None:
    dav.put(f"{folder}/file", b"0123456789")
    whole = tmp_path / "whole"
    whole.write_bytes(b"0123456789abcdef")
    status, _ = curl(f"{folder}/file", "--upload-file", whole, "--continue-at", "10")
    assert status in (400, 501)
    assert dav.get(f"{folder}/file") == b"0123456789"


def test_curl_negotiates_the_way_to_sign_in(
    curl: Curl, dav: Dav, folder: str, tmp_path: Path
) -> None:
    local = tmp_path / "file"
    local.write_bytes(content("negotiated", 3 << 20))
    assert curl(f"{folder}/file", "--anyauth", "--upload-file", local)[0] == 201
    assert dav.sha256(f"{folder}/file") == sha256(local.read_bytes())
    assert curl(f"{folder}/file", "--user", f"{dav.username}:wrong")[0] == 401
