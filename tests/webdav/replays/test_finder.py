"""macOS Finder (WebDAVFS).

Origin: access logs in github.com/pydio/pydio-core issue 581 (PUT, LOCK, PUT, PROPFIND, UNLOCK of
the file and of its ``._`` twin), owncloud/core issue 24753 (``._.``, rename over),
couling/WebDAV-Daemon issue 18; ModeShape/modeshape pull request 841 (an empty PUT, then LOCK, PUT,
UNLOCK); LOCK with its headers in a comment of lighttpd's mod_webdav.c; sabre.io/dav/clients/finder
(chunked PUT with X-Expected-Entity-Length).
"""

from __future__ import annotations

from tests.webdav.client import Client, Reply

AGENT = {
    "User-Agent": "WebDAVFS/3.0.0 (03008000) Darwin/19.6.0 (x86_64)",
    "Accept": "*/*",
}
XML = {**AGENT, "Content-Type": 'text/xml; charset="utf-8"'}

ASK = (
    b'<?xml version="1.0" encoding="utf-8"?>\n<D:propfind xmlns:D="DAV:">\n<D:prop>\n'
    b"<D:getlastmodified/>\n<D:getcontentlength/>\n<D:creationdate/>\n<D:resourcetype/>\n"
    b"</D:prop>\n</D:propfind>\n"
)
ASK_QUOTA = (
    b'<?xml version="1.0" encoding="utf-8"?>\n<D:propfind xmlns:D="DAV:">\n<D:prop>\n'
    b"<D:quota-available-bytes/>\n<D:quota-used-bytes/>\n<D:quota/>\n<D:quotaused/>\n"
    b"</D:prop>\n</D:propfind>\n"
)
LOCK = (
    b'<?xml version="1.0" encoding="utf-8"?>\n<D:lockinfo xmlns:D="DAV:">\n'
    b"<D:lockscope><D:exclusive/></D:lockscope>\n<D:locktype><D:write/></D:locktype>\n<D:owner>\n"
    b"<D:href>http://www.apple.com/webdav_fs/</D:href>\n</D:owner>\n</D:lockinfo>\n"
)


def ask(dav: Client, path: str, depth: str = "0", body: bytes = ASK) -> Reply:
    return dav("PROPFIND", path, body, {**XML, "Depth": depth})


def lock(dav: Client, path: str) -> str:
    reply = dav("LOCK", path, LOCK, {**XML, "Depth": "0", "Timeout": "Second-600"})
    assert reply.status in (200, 201)
    href = reply.xml.findtext(".//{DAV:}locktoken/{DAV:}href")
    assert reply.header("Lock-Token") == f"<{href}>"
    return href or ""


def upload(dav: Client, path: str, content: bytes) -> None:
    """As the Finder copies a file in: empty first, locked, chunked, looked at, unlocked."""
    assert ask(dav, path).status == 404
    assert dav("PUT", path, b"", {**AGENT, "Content-Length": "0"}).status == 201
    token = lock(dav, path)
    pieces = (content[i : i + 32768] for i in range(0, len(content), 32768))
    headers = {"If": f"(<{token}>)", "X-Expected-Entity-Length": str(len(content)), **AGENT}
    assert dav("PUT", path, pieces, headers).status == 204
    assert ask(dav, path).props()["{DAV:}getcontentlength"].text == str(len(content))
    unlock(dav, path, token)


def unlock(dav: Client, path: str, token: str) -> None:
    assert dav("UNLOCK", path, None, {"Lock-Token": f"<{token}>", **AGENT}).status == 204


def test_a_session(dav: Client) -> None:
    # Sign-in: OPTIONS, then PROPFIND that is refused once.
    stranger = Client(dav.port, None, dav.root)
    options = stranger("OPTIONS", "/", None, AGENT)
    assert "2" in (options.header("DAV") or "")
    assert ask(stranger, "/").status == 401
    assert "{DAV:}resourcetype" in ask(dav, "/").props()
    # The volume's size, and what Spotlight and the desktop look for.
    asked = ask(dav, "/", "0", ASK_QUOTA)
    assert len(asked.props(0, 404)) == 4
    for name in ("/._.", "/.DS_Store", "/.metadata_never_index", "/.hidden", "/Contents"):
        assert ask(dav, name).status == 404
    # Browse, upload with the resource fork beside.
    assert ask(dav, "/", "1").hrefs == ["/dav/"]
    assert dav("MKCOL", "/untitled%20folder/", None, AGENT).status == 201
    upload(dav, "/untitled%20folder/picture.jpg", bytes(range(256)) * 1000)
    upload(dav, "/untitled%20folder/._picture.jpg", b"\x00\x05\x16\x07" + bytes(4092))
    assert len(ask(dav, "/untitled%20folder/", "1").hrefs) == 3
    # Rename both, as the Finder does.
    for name in ("picture.jpg", "._picture.jpg"):
        to = dav.url("/untitled%20folder/" + name.replace("picture", "photo"))
        headers = {"Destination": to, **AGENT}
        assert dav("MOVE", f"/untitled%20folder/{name}", None, headers).status == 201
    moved = {"Destination": dav.url("/photos/"), **AGENT}
    assert dav("MOVE", "/untitled%20folder/", None, moved).status == 201
    got = dav("GET", "/photos/photo.jpg", None, AGENT)
    assert got.body == bytes(range(256)) * 1000
    # Overwrite, under a lock held while the file is open.
    token = lock(dav, "/photos/photo.jpg")
    condition = {"If": f"(<{token}>)", "X-Expected-Entity-Length": "3", **AGENT}
    assert dav("PUT", "/photos/photo.jpg", iter([b"new"]), condition).status == 204
    refresh = {"If": f"(<{token}>)", "Timeout": "Second-600", **AGENT}
    assert dav("LOCK", "/photos/photo.jpg", None, refresh).status == 200
    unlock(dav, "/photos/photo.jpg", token)
    # Delete: each file, then the folder.
    for path in ("/photos/photo.jpg", "/photos/._photo.jpg", "/photos/"):
        assert dav("DELETE", path, None, AGENT).status == 204
    assert ask(dav, "/", "1").hrefs == ["/dav/"]


def test_a_large_file_is_whole_and_read_in_parts(dav: Client) -> None:
    content = bytes(range(251)) * 30_000
    upload(dav, "/movie.mov", content)
    etag = dav("HEAD", "/movie.mov", None, AGENT).header("ETag") or ""
    part = dav("GET", "/movie.mov", None, {"Range": "bytes=5000000-", "If-Range": etag, **AGENT})
    assert part.status == 206
    assert part.body == content[5_000_000:]


def test_a_chunked_upload_cut_short_is_not_taken_for_whole(dav: Client) -> None:
    upload(dav, "/a", b"old content")
    token = lock(dav, "/a")
    headers = {"If": f"(<{token}>)", "X-Expected-Entity-Length": "100", **AGENT}
    assert dav("PUT", "/a", iter([b"only a part"]), headers).status == 400
    assert dav("GET", "/a", None, AGENT).body == b"old content"
    unlock(dav, "/a", token)
