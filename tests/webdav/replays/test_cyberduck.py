"""Cyberduck, as its sources send it.

Origin: github.com/iterate-ch/cyberduck, webdav/src/main/java/ch/cyberduck/core/dav: DAVSession
(sign-in by HEAD of the home), DAVListService and Sardine's PROPFIND, DAVWriteFeature (Expect;
Content-Range to resume), DAVTimestampFeature (properties in Sardine's namespace ``SAR:``),
DAVMoveFeature (a folder's Destination ends in a slash; If tagged with the source's path).
"""

from __future__ import annotations

from tests.webdav.client import Client

AGENT = {"User-Agent": "Cyberduck/8.7.1.40770 (Mac OS X/13.4) (aarch64)"}

LIST = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><D:propfind xmlns:D="DAV:">'
    b"<D:allprop/></D:propfind>"
)
TIME = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><D:propertyupdate xmlns:D="DAV:">'
    b'<D:set><D:prop><s:lastmodified xmlns:s="SAR:">Sun, 09 Sep 2001 01:46:40 GMT'
    b'</s:lastmodified><s:lastmodified_server xmlns:s="SAR:">Mon, 10 Sep 2001 01:46:40 GMT'
    b"</s:lastmodified_server></D:prop></D:set></D:propertyupdate>"
)
ASK_TIME = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><D:propfind xmlns:D="DAV:"><D:prop>'
    b"<D:getlastmodified/></D:prop></D:propfind>"
)
LOCK = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><D:lockinfo xmlns:D="DAV:">'
    b"<D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockinfo>"
)
XML = {**AGENT, "Content-Type": "text/xml; charset=UTF-8"}


def put(dav: Client, path: str, content: bytes) -> tuple[int, str]:
    """An upload: headers, wait for 100, body."""
    with dav.raw() as raw:
        headers = [f"User-Agent: {AGENT['User-Agent']}", f"Content-Length: {len(content)}"]
        if content:
            raw.send("PUT", path, *headers, "Expect: 100-continue")
            assert raw.reply().status == 100
            raw.sock.sendall(content)
        else:
            raw.send("PUT", path, *headers)
        reply = raw.reply()
        return reply.status, reply.header("ETag") or ""


def test_a_session(dav: Client) -> None:
    # Sign-in: preemptive Basic, HEAD of the home.
    assert Client(dav.port, None, dav.root)("HEAD", "/", None, AGENT).status == 401
    assert dav("HEAD", "/", None, AGENT).status == 200
    # Browse, make a folder, upload.
    assert dav("PROPFIND", "/", LIST, {**XML, "Depth": "1"}).hrefs == ["/dav/"]
    assert dav("MKCOL", "/new%20folder/", None, AGENT).status == 201
    status, etag = put(dav, "/new%20folder/a.txt", b"first")
    assert status == 201
    # Keep the file's own time, in two properties of Sardine's.
    path = "/new%20folder/a.txt"
    assert dav("PROPFIND", path, ASK_TIME, {**XML, "Depth": "1"}).hrefs == ["/dav" + path]
    patched = dav("PROPPATCH", path, TIME, XML)
    assert {"{SAR:}lastmodified", "{SAR:}lastmodified_server"} == set(patched.props(0, 200))
    shown = dav("PROPFIND", "/new%20folder/", LIST, {**XML, "Depth": "1"})
    assert shown.hrefs == ["/dav/new%20folder/", "/dav" + path]
    assert shown.props(1)["{SAR:}lastmodified"].text == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert shown.props(1)["{DAV:}getetag"].text == etag
    # Overwrite, then an upload into a missing folder refused before its body.
    assert put(dav, path, b"second")[0] == 204
    with dav.raw() as raw:
        raw.send("PUT", "/none/a.txt", "Content-Length: 5", "Expect: 100-continue")
        assert raw.reply().status == 409
    # Rename a file, move a folder.
    to = {"Destination": dav.url("/new%20folder/b.txt"), "Overwrite": "F", **AGENT}
    assert dav("MOVE", path, None, to).status == 201
    to = {"Destination": dav.url("/moved/"), "Overwrite": "F", **AGENT}
    assert dav("MOVE", "/new%20folder/", None, to).status == 201
    assert dav("GET", "/moved/b.txt", None, AGENT).body == b"second"
    assert dav("DELETE", "/moved/", None, AGENT).status == 204
    assert dav("PROPFIND", "/", LIST, {**XML, "Depth": "1"}).hrefs == ["/dav/"]


def test_a_large_file_in_segments_and_a_resumed_upload_that_destroys_nothing(dav: Client) -> None:
    content = bytes(range(256)) * 20_000
    assert put(dav, "/big", content)[0] == 201
    half = len(content) // 2
    first = dav("GET", "/big", None, {"Range": f"bytes=0-{half - 1}", **AGENT})
    rest = dav("GET", "/big", None, {"Range": f"bytes={half}-", **AGENT})
    assert (first.status, rest.status) == (206, 206)
    assert first.body + rest.body == content
    total = len(content) + 4
    resume = {"Content-Range": f"bytes {len(content)}-{total - 1}/{total}", **AGENT}
    assert dav("PUT", "/big", b"more", resume).status == 400
    assert dav("GET", "/big", None, AGENT).body == content


def test_editing_under_a_lock(dav: Client) -> None:
    put(dav, "/a.txt", b"x")
    reply = dav("LOCK", "/a.txt", LOCK, XML)
    assert reply.status == 200
    token = (reply.header("Lock-Token") or "").strip("<>")
    assert token in reply.body.decode()
    tagged = {"If": f"</dav/a.txt> (<{token}>)", **AGENT}
    assert dav("PUT", "/a.txt", b"y", AGENT).status == 423
    assert dav("PUT", "/a.txt", b"y", tagged).status == 204
    to = {"Destination": dav.url("/b.txt"), "Overwrite": "T"}
    assert dav("MOVE", "/a.txt", None, {**tagged, **to}).status == 201
    put(dav, "/c.txt", b"x")
    token = (dav("LOCK", "/c.txt", LOCK, XML).header("Lock-Token") or "").strip("<>")
    assert dav("UNLOCK", "/c.txt", None, {"Lock-Token": f"<{token}>", **AGENT}).status == 204
