"""Windows Explorer (WebClient, ``Microsoft-WebDAV-MiniRedir``).

Origin: github.com/mar10/wsgidav issue 112 (copying a file in: PROPFIND, PUT, LOCK, PROPPATCH, HEAD,
PUT, PROPPATCH, UNLOCK), dgraziotin/docker-nginx-webdav-nononsense issue 8 (access log of
10.0.22000), swisspol/GCDWebServer issue 319 (LOCK without a Depth), [MS-WDV] of Microsoft's Open
Specifications (OPTIONS of the server's root, ``translate: f``), drakkan/sftpgo's tests (PROPPATCH
body), sabre-io/dav issue 980 (Office 2016: the token in Lock-Token).
"""

from __future__ import annotations

from tests.webdav.client import Client, Reply

AGENT = {
    "User-Agent": "Microsoft-WebDAV-MiniRedir/10.0.22000",
    "translate": "f",
    "Cache-Control": "no-cache",
    "Pragma": "no-cache",
}

LOCK = (
    b'<?xml version="1.0" encoding="utf-8" ?><D:lockinfo xmlns:D="DAV:"><D:lockscope>'
    b"<D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner>"
    b"<D:href>DESKTOP\\user</D:href></D:owner></D:lockinfo>"
)


def patch(attributes: str, *, times: bool) -> bytes:
    date = "Wed, 04 Nov 2020 13:25:51 GMT"
    created = (
        f"<Z:Win32CreationTime>{date}</Z:Win32CreationTime>"
        f"<Z:Win32LastAccessTime>{date}</Z:Win32LastAccessTime>"
        if times
        else ""
    )
    return (
        '<?xml version="1.0" encoding="utf-8" ?><D:propertyupdate xmlns:D="DAV:" '
        f'xmlns:Z="urn:schemas-microsoft-com:"><D:set><D:prop>{created}'
        f"<Z:Win32LastModifiedTime>{date}</Z:Win32LastModifiedTime>"
        f"<Z:Win32FileAttributes>{attributes}</Z:Win32FileAttributes>"
        "</D:prop></D:set></D:propertyupdate>"
    ).encode()


def propfind(dav: Client, path: str, depth: str) -> Reply:
    return dav("PROPFIND", path, None, {**AGENT, "Depth": depth, "Content-Length": "0"})


def copy_in(dav: Client, path: str, content: bytes) -> None:
    assert propfind(dav, path, "0").status == 404
    assert dav("PUT", path, b"", {**AGENT, "Content-Length": "0"}).status == 201
    reply = dav(
        "LOCK",
        path,
        LOCK,
        {**AGENT, "Content-Type": 'text/xml; charset="utf-8"', "Timeout": "Second-3600"},
    )
    assert reply.status == 200
    token = reply.header("Lock-Token") or ""
    condition = {**AGENT, "If": f"({token})"}
    xml = {**condition, "Content-Type": 'text/xml; charset="utf-8"'}
    reply = dav("PROPPATCH", path, patch("00000020", times=True), xml)
    assert reply.status == 207
    assert len(reply.props(0, 200)) == 4
    assert dav("HEAD", path, None, AGENT).status == 200
    assert dav("PUT", path, content, condition).status == 204
    reply = dav("PROPPATCH", path, patch("00000020", times=False), xml)
    assert len(reply.props(0, 200)) == 2
    assert dav("UNLOCK", path, None, {**AGENT, "Lock-Token": token}).status == 204


def test_a_session(dav: Client) -> None:
    # Mapping a drive: OPTIONS of the root before any sign-in, then down from it.
    stranger = Client(dav.port, None, dav.root)
    options = stranger("OPTIONS", "//", None, {**AGENT, "Content-Length": "0"})
    assert options.status == 200
    assert options.header("MS-Author-Via") == "DAV"
    assert "1" in (options.header("DAV") or "")
    assert propfind(stranger, "//", "0").status == 401
    for path in ("//", "//dav", "/"):
        assert propfind(dav, path, "0").status == 207
    # Explorer looks for its own files, then lists.
    for name in ("/desktop.ini", "/Desktop.ini", "/folder.jpg", "/AutoRun.inf"):
        assert propfind(dav, name, "0").status == 404
    assert propfind(dav, "/", "1").hrefs == ["/dav/"]
    # New folder: made under its first name, then renamed.
    assert dav("MKCOL", "/New%20folder", None, AGENT).status == 201
    to = {**AGENT, "Destination": dav.url("/Documents"), "Overwrite": "F"}
    assert dav("MOVE", "/New%20folder", None, to).status == 201
    copy_in(dav, "/Documents/report.docx", b"content" * 1000)
    props = propfind(dav, "/Documents", "1").props(1)
    assert props["{DAV:}getlastmodified"].text == "Wed, 04 Nov 2020 13:25:51 GMT"
    assert props["{urn:schemas-microsoft-com:}Win32FileAttributes"].text == "00000020"
    assert dav("GET", "/Documents/report.docx", None, AGENT).body == b"content" * 1000
    # Overwrite: the same again without the empty PUT; the token as Office 2016 sends it.
    token = dav("LOCK", "/Documents/report.docx", LOCK, AGENT).header("Lock-Token") or ""
    assert dav("PUT", "/Documents/report.docx", b"v2", AGENT).status == 423
    office = {"User-Agent": "Microsoft Office Word 2014", "Lock-Token": token}
    assert dav("PUT", "/Documents/report.docx", b"v2", office).status == 204
    assert dav("UNLOCK", "/Documents/report.docx", None, {"Lock-Token": token}).status == 204
    # Rename onto a name that is taken asks first; move; delete.
    copy_in(dav, "/Documents/other.docx", b"x")
    taken = {**AGENT, "Destination": dav.url("/Documents/other.docx"), "Overwrite": "F"}
    assert dav("MOVE", "/Documents/report.docx", None, taken).status == 412
    to = {**AGENT, "Destination": dav.url("/report.docx"), "Overwrite": "F"}
    assert dav("MOVE", "/Documents/report.docx", None, to).status == 201
    assert dav("DELETE", "/report.docx", None, AGENT).status == 204
    assert dav("DELETE", "/Documents", None, AGENT).status == 204
    assert propfind(dav, "/", "1").hrefs == ["/dav/"]


def test_a_large_file(dav: Client) -> None:
    content = bytes(range(253)) * 30_000
    copy_in(dav, "/setup.exe", content)
    assert dav("GET", "/setup.exe", None, AGENT).body == content


def test_quota_of_the_drive_is_asked_and_may_be_unknown(dav: Client) -> None:
    body = (
        b'<?xml version="1.0" encoding="utf-8" ?><D:propfind xmlns:D="DAV:"><D:prop>'
        b"<D:quota-available-bytes/><D:quota-used-bytes/></D:prop></D:propfind>"
    )
    assert len(dav("PROPFIND", "/", body, {**AGENT, "Depth": "0"}).props(0, 404)) == 2
