"""GNOME's gvfs (Nautilus, gio).

Origin: github.com/GNOME/gvfs, daemon/gvfsbackenddav.c (mount: OPTIONS and PROPFIND up to the root;
create: HEAD, PUT; replace: HEAD and PUT with If-Match; set_display_name: MOVE, Overwrite F; move:
PROPFIND of both; delete: PROPFIND with the children counted); traces with headers in
cryptomator/webdav-nio-adapter issue 11 and mickael-kerjean/filestash issue 578.
"""

from __future__ import annotations

from tests.webdav.client import Client, Reply

AGENT = {
    "User-Agent": "gvfs/1.50.3",
    "Accept-Encoding": "gzip, deflate, br",
    "Accept-Language": "en-us, en;q=0.9",
}

STAT = (
    b'<?xml version="1.0" encoding="utf-8" ?>\n <D:propfind xmlns:D="DAV:">\n  <D:prop>\n'
    b"<D:resourcetype/>\n<D:getcontentlength/>\n</D:prop>\n </D:propfind>"
)
LIST = (
    b'<?xml version="1.0" encoding="utf-8" ?>\n <D:propfind xmlns:D="DAV:">\n  <D:prop>\n'
    b"<D:creationdate/>\n<D:displayname/>\n<D:getcontentlength/>\n<D:getcontenttype/>\n"
    b"<D:getetag/>\n<D:getlastmodified/>\n<D:resourcetype/>\n</D:prop>\n </D:propfind>"
)


def propfind(dav: Client, path: str, body: bytes, depth: str = "0") -> Reply:
    return dav("PROPFIND", path, body, {**AGENT, "Depth": depth, "Content-Type": "application/xml"})


def move(dav: Client, src: str, dst: str, overwrite: str) -> int:
    headers = {**AGENT, "Destination": dav.url(dst), "Overwrite": overwrite}
    return dav("MOVE", src, None, headers).status


def test_a_session(dav: Client) -> None:
    # Mount: without credentials first, then each parent until one is not WebDAV.
    stranger = Client(dav.port, None, dav.root)
    assert stranger("OPTIONS", "/", None, AGENT).header("DAV") is not None
    assert propfind(stranger, "/", STAT).status == 401
    for path in ("/", "//"):
        reply = propfind(dav, path, STAT)
        assert reply.status == 207
        assert len(reply.props()["{DAV:}resourcetype"]) == 1
    assert propfind(dav, "/", LIST, "1").hrefs == ["/dav/"]
    # Create: HEAD says the name is free, PUT of the whole.
    assert dav("HEAD", "/letter.odt", None, AGENT).status == 404
    assert dav("PUT", "/letter.odt", b"Dear", AGENT).status == 201
    etag = propfind(dav, "/letter.odt", LIST).props()["{DAV:}getetag"].text or ""
    # Replace: only the version that was read.
    assert dav("HEAD", "/letter.odt", None, {**AGENT, "If-Match": etag}).status == 200
    assert dav("PUT", "/letter.odt", b"Dear you", {**AGENT, "If-Match": etag}).status == 204
    assert dav("HEAD", "/letter.odt", None, {**AGENT, "If-Match": etag}).status == 412
    assert dav("PUT", "/letter.odt", b"lost", {**AGENT, "If-Match": etag}).status == 412
    # Read: what it is, then the content.
    assert len(propfind(dav, "/letter.odt", STAT).props()["{DAV:}resourcetype"]) == 0
    assert dav("GET", "/letter.odt", None, AGENT).body == b"Dear you"
    # A folder, a rename, a name that is taken, a move into the folder.
    assert dav("MKCOL", "/Letters/", None, AGENT).status == 201
    assert dav("MKCOL", "/Letters/", None, AGENT).status == 405
    assert move(dav, "/letter.odt", "/to%20you.odt", "F") == 201
    assert move(dav, "/to%20you.odt", "/Letters", "F") == 412
    assert propfind(dav, "/Letters/to%20you.odt", STAT).status == 404
    assert move(dav, "/to%20you.odt", "/Letters/to%20you.odt", "F") == 201
    # Copy within the mount.
    headers = {**AGENT, "Destination": dav.url("/copy.odt"), "Overwrite": "F"}
    assert dav("COPY", "/Letters/to%20you.odt", None, headers).status == 201
    # Delete: children counted, each file, then the empty folder.
    assert len(propfind(dav, "/Letters", STAT, "1").hrefs) == 2
    for path in ("/Letters/to%20you.odt", "/Letters", "/copy.odt"):
        assert dav("DELETE", path, None, AGENT).status == 204
    assert propfind(dav, "/", LIST, "1").hrefs == ["/dav/"]


def test_a_large_file(dav: Client) -> None:
    content = bytes(range(249)) * 30_000
    assert dav("PUT", "/big.iso", content, AGENT).status == 201
    reply = dav("GET", "/big.iso", None, {**AGENT, "Range": "bytes=1000000-"})
    assert reply.body == content[1_000_000:]


def test_locks_of_others_are_respected(dav: Client) -> None:
    dav("PUT", "/a", b"x", AGENT)
    lock = (
        b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
        b"<D:locktype><D:write/></D:locktype></D:lockinfo>"
    )
    assert dav("LOCK", "/a", lock).status == 200
    assert dav("PUT", "/a", b"y", AGENT).status == 423
    assert dav("DELETE", "/a", None, AGENT).status == 423
