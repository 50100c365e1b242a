"""Pydio 8, plugin ``access.webdav``.

Origin: github.com/pydio/pydio-core, core/src/plugins/access.webdav: src/Client.php (sabre/dav's
client, PROPFIND 0 and 1 with three properties; the first response of a listing is taken for the
folder and dropped), src/Resources/dav.json (GET, MKCOL, DELETE, MOVE without Overwrite and with the
Destination as it stands, PUT by Guzzle 5), src/Listener/WebDAVSubscriber.php (every answer whose
type is XML is parsed as a multistatus), PEAR_HTTP_WebDAV_Client_Patch.diff (the client before:
hrefs compared with the path as it was asked, names taken by ``basename``). It sends no LOCK.
"""

from __future__ import annotations

from tests.webdav.client import Client, Reply

GUZZLE = {"User-Agent": "Guzzle/5.3.1 curl/7.64.0 PHP/7.1.33"}

ASK = (
    b'<?xml version="1.0"?>\n<d:propfind xmlns:d="DAV:">\n  <d:prop>\n    <d:getlastmodified />\n'
    b"    <d:getcontentlength />\n    <d:resourcetype />\n  </d:prop>\n</d:propfind>"
)


def ask(dav: Client, path: str, depth: str) -> Reply:
    return dav("PROPFIND", path, ASK, {"Content-Type": "application/xml", "Depth": depth})


def listing(dav: Client, path: str) -> list[str]:
    """What Pydio shows: all responses but the first, by the last part of their hrefs."""
    reply = ask(dav, path, "1")
    assert reply.status == 207
    assert all(href.startswith("/dav/") for href in reply.hrefs)
    assert reply.hrefs[0].rstrip("/") == "/dav" + path.rstrip("/")
    return sorted(href.rstrip("/").rpartition("/")[2] for href in reply.hrefs[1:])


def move(dav: Client, src: str, to: str) -> int:
    """MOVE with a Destination in raw UTF-8, spaces and all, and no Overwrite."""
    raw = f"http://127.0.0.1:{dav.port}/dav{to}".encode()
    return dav("MOVE", src, None, {**GUZZLE, "Destination": raw}).status


def test_a_session(dav: Client) -> None:
    # Sign-in and browse.
    assert Client(dav.port, None, dav.root)("PROPFIND", "/", ASK, {"Depth": "0"}).status == 401
    assert ask(dav, "/", "0").status == 207
    assert listing(dav, "/") == []
    assert ask(dav, "/none", "0").status == 404
    # A folder, an upload, an overwrite, a download.
    assert dav("MKCOL", "/Mein%20Ordner", None, GUZZLE).status == 201
    assert dav("PUT", "/Mein%20Ordner/a.txt", b"one", GUZZLE).status == 201
    assert dav("PUT", "/Mein%20Ordner/a.txt", b"two", GUZZLE).status == 204
    assert dav("GET", "/Mein%20Ordner/a.txt", None, GUZZLE).body == b"two"
    assert listing(dav, "/Mein%20Ordner") == ["a.txt"]
    # Rename and move, un-encoded.
    assert move(dav, "/Mein%20Ordner/a.txt", "/Mein Ordner/Grüße & mehr+.txt") == 201
    assert listing(dav, "/Mein%20Ordner") == ["Gr%C3%BC%C3%9Fe%20&%20mehr+.txt"]
    assert move(dav, "/Mein%20Ordner", "/Neuer Name") == 201
    assert dav("GET", "/Neuer%20Name/Gr%C3%BC%C3%9Fe%20%26%20mehr%2B.txt").body == b"two"
    assert move(dav, "/Neuer%20Name/Gr%C3%BC%C3%9Fe%20&%20mehr+.txt", "/top.txt") == 201
    # Delete.
    assert dav("DELETE", "/Neuer%20Name", None, GUZZLE).status == 204
    assert dav("DELETE", "/top.txt", None, GUZZLE).status == 204
    assert listing(dav, "/") == []


def test_an_xml_file_is_not_mistaken_for_an_answer(dav: Client) -> None:
    dav("PUT", "/feed.xml", b"<rss/>", GUZZLE)
    dav("PUT", "/drawing.svg", b"<svg/>", GUZZLE)
    for path in ("/feed.xml", "/drawing.svg"):
        assert dav("GET", path, None, GUZZLE).header("Content-Type") == "application/octet-stream"
        assert "xml" in (dav("GET", path).header("Content-Type") or "")


def test_a_large_file(dav: Client) -> None:
    content = bytes(range(247)) * 30_000
    assert dav("PUT", "/big", content, GUZZLE).status == 201
    assert dav("GET", "/big", None, GUZZLE).body == content


def test_a_locked_file_is_refused_and_not_harmed(dav: Client) -> None:
    dav("PUT", "/a", b"x", GUZZLE)
    lock = (
        b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
        b"<D:locktype><D:write/></D:locktype></D:lockinfo>"
    )
    assert dav("LOCK", "/a", lock).status == 200
    assert dav("PUT", "/a", b"y", GUZZLE).status == 423
    assert move(dav, "/a", "/b") == 423
    assert dav("GET", "/a").body == b"x"
