"""PROPFIND."""

from __future__ import annotations

import time

import pytest

from bridge.files.path import Path
from bridge.state.api import Locks
from bridge.webdav import Quota, Settings
from tests.files.model_tree import ModelTree
from tests.webdav.client import Client, Reply
from tests.webdav.server import running

NEXTCLOUD = (
    b'<?xml version="1.0"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"'
    b' xmlns:ocs="http://open-collaboration-services.org/ns"><d:prop><d:getlastmodified/>'
    b"<d:getcontentlength/><d:getcontenttype/><oc:permissions/><ocs:share-permissions/>"
    b"<d:resourcetype/><d:getetag/><d:quota-available-bytes/></d:prop></d:propfind>"
)


def propfind(dav: Client, path: str, depth: str = "0", body: bytes | None = None) -> Reply:
    reply = dav("PROPFIND", path, body, Depth=depth)
    assert reply.status == 207, reply
    assert reply.header("Content-Type") == "application/xml; charset=utf-8"
    return reply


def prop(*names: str) -> bytes:
    inner = "".join(f"<D:{name}/>" for name in names)
    return f'<D:propfind xmlns:D="DAV:"><D:prop>{inner}</D:prop></D:propfind>'.encode()


def test_nextclouds_question_about_a_file_is_answered(dav: Client) -> None:
    etag = dav("PUT", "/a.txt", b"hello").header("ETag")
    reply = propfind(dav, "/a.txt", "0", NEXTCLOUD)
    assert reply.hrefs == ["/dav/a.txt"]
    props = reply.props()
    assert props["{DAV:}getetag"].text == etag
    assert len(etag or "") <= 42
    assert props["{DAV:}getcontentlength"].text == "5"
    assert props["{DAV:}getcontenttype"].text == "text/plain"
    assert list(props["{DAV:}resourcetype"]) == []
    assert props["{http://owncloud.org/ns}permissions"].text == "GDNVW"
    missing = reply.props(status=404)
    assert "{http://open-collaboration-services.org/ns}share-permissions" in missing
    assert "{DAV:}quota-available-bytes" in missing


def test_a_folder_has_no_etag_and_comes_first_with_a_slash(dav: Client) -> None:
    dav("MKCOL", "/d")
    dav("PUT", "/d/b", b"x")
    dav("MKCOL", "/d/a")
    reply = propfind(dav, "/d", "1", NEXTCLOUD)
    assert reply.hrefs[0] == "/dav/d/"
    assert sorted(reply.hrefs[1:]) == ["/dav/d/a/", "/dav/d/b"]
    props = reply.props(0)
    assert props["{DAV:}resourcetype"].find("{DAV:}collection") is not None
    assert "{DAV:}getetag" not in props
    assert "{DAV:}getlastmodified" in props
    assert props["{http://owncloud.org/ns}permissions"].text == "GDNVCK"


def test_a_folders_time_moves_forward_with_each_change_of_a_child(dav: Client) -> None:
    dav("MKCOL", "/d")
    seen = [propfind(dav, "/d", "0").props()["{DAV:}getlastmodified"].text]
    for method, path in (("PUT", "/d/a"), ("PUT", "/d/b"), ("DELETE", "/d/a")):
        dav(method, path, b"" if method == "PUT" else None)
        seen.append(propfind(dav, "/d", "0").props()["{DAV:}getlastmodified"].text)
    assert len(set(seen)) == 4


def test_all_properties_are_those_of_the_rfc_and_the_dead_ones(dav: Client) -> None:
    dav("PUT", "/a%20b.txt", b"")
    dav(
        "PROPPATCH",
        "/a%20b.txt",
        b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><x:colour xmlns:x="urn:x">red'
        b"</x:colour></D:prop></D:set></D:propertyupdate>",
    )
    for body in (None, b'<D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind>'):
        props = propfind(dav, "/a%20b.txt", "0", body).props()
        assert props["{DAV:}displayname"].text == "a b.txt"
        assert props["{urn:x}colour"].text == "red"
        assert {"{DAV:}creationdate", "{DAV:}supportedlock", "{DAV:}lockdiscovery"} <= set(props)
        assert "{DAV:}quota-used-bytes" not in props


def test_propname_gives_the_names_of_all_without_values(dav: Client) -> None:
    dav("PUT", "/a", b"x")
    body = b'<D:propfind xmlns:D="DAV:"><D:propname/></D:propfind>'
    props = propfind(dav, "/a", "0", body).props()
    assert {"{DAV:}getetag", "{DAV:}resourcetype", "{DAV:}lockdiscovery"} <= set(props)
    assert all(not element.text and not len(element) for element in props.values())


def test_allprop_includes_what_is_asked_besides(model: ModelTree, locks: Locks) -> None:
    with running(model, locks, quota=lambda: Quota(7, 93)) as server:
        dav = server.client()
        body = (
            b'<D:propfind xmlns:D="DAV:"><D:allprop/><D:include><D:quota-used-bytes/>'
            b"</D:include></D:propfind>"
        )
        assert propfind(dav, "/", "0", body).props()["{DAV:}quota-used-bytes"].text == "7"
        asked = propfind(dav, "/", "0", prop("quota-available-bytes", "quota-used-bytes"))
        assert asked.props()["{DAV:}quota-available-bytes"].text == "93"


def test_a_large_folder_is_streamed_and_complete(dav: Client) -> None:
    dav("MKCOL", "/d")
    names = {f"file {n}" for n in range(1500)}
    for name in names:
        dav("PUT", "/d/" + name.replace(" ", "%20"), b"")
    reply = propfind(dav, "/d/", "1")
    assert reply.header("Content-Length") is None
    assert {h.rpartition("/")[2].replace("%20", " ") for h in reply.hrefs[1:]} == names


def test_infinity_walks_the_tree_up_to_a_limit(model: ModelTree, locks: Locks) -> None:
    with running(model, locks, settings=Settings(infinity=4)) as server:
        dav = server.client()
        for path in ("/a", "/a/b", "/a/b/c"):
            dav("MKCOL", path)
        dav("PUT", "/a/b/c/d", b"x")
        for depth in ("infinity", None):
            reply = dav("PROPFIND", "/", None, {"Depth": depth} if depth else {})
            assert reply.status == 207
            assert set(reply.hrefs) == {
                "/dav/", "/dav/a/", "/dav/a/b/", "/dav/a/b/c/", "/dav/a/b/c/d",
            }  # fmt: skip
        dav("PUT", "/one-more", b"")
        reply = dav("PROPFIND", "/", None, Depth="infinity")
        assert reply.status == 403
        assert reply.xml.find("{DAV:}propfind-finite-depth") is not None


def asked(inner: bytes) -> bytes:
    return b'<D:propfind xmlns:D="DAV:">' + inner + b"</D:propfind>"


HOSTILE = [
    b"<not xml",
    asked(b""),
    b'<D:other xmlns:D="DAV:"/>',
    asked(b"<D:allprop/><D:propname/>"),
    b'<!DOCTYPE x [<!ENTITY a "b">]>' + asked(b"<D:prop>&a;</D:prop>"),
    b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + asked(b"<D:allprop/>"),
    b"<?xml version='1.0' encoding='no-such'?>" + asked(b"<D:allprop/>"),
    asked(b"<D:prop>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</D:prop>"),
    asked(b"<D:prop>" + b"".join(b"<a%d/>" % n for n in range(2000)) + b"</D:prop>"),
    "\ud800".encode("utf-8", "surrogatepass"),
    b"\x00",
]


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize("method", ["PROPFIND", "PROPPATCH", "LOCK"])
def test_malformed_and_hostile_xml_is_400(dav: Client, method: str, body: bytes) -> None:
    assert dav(method, "/", body, Depth="0").status == 400
    assert dav("PROPFIND", "/", Depth="0").status == 207


def test_a_body_of_more_than_a_mebibyte_is_413(dav: Client) -> None:
    assert dav("PROPFIND", "/", b" " * ((1 << 20) + 1), Depth="0").status == 413
    pieces = (b" " * 100_000 for _ in range(11))
    assert dav("PROPFIND", "/", pieces, Depth="0").status == 413


def test_old_clients_depths_are_understood_and_nonsense_refused(dav: Client) -> None:
    dav("PUT", "/a", b"")
    assert len(propfind(dav, "/", "1,noroot").hrefs) == 2
    # Pydio's old client skips the folder itself: it must be there to be skipped.
    reply = dav("PROPFIND", "/", None, {"Depth": "1", "Min-Depth": "1"})
    assert reply.hrefs[0] == "/dav/"
    assert dav("PROPFIND", "/", None, Depth="2").status == 400
    assert dav("PROPFIND", "/none", None, Depth="0").status == 404


def test_names_that_xml_cannot_hold_are_shown_all_the_same(dav: Client) -> None:
    dav("PUT", "/bell%07%26%3C%22", b"")
    reply = propfind(dav, "/", "1")
    assert "/dav/bell%07&%3C%22" in reply.hrefs
    assert reply.props(1)["{DAV:}displayname"].text == 'bell\ufffd&<"'


def test_ten_thousand_entries_cost_little(model: ModelTree, locks: Locks) -> None:
    model.mkdir(Path(("d",)))
    for n in range(10_000):
        model.create(Path(("d", f"file number {n}.txt"))).commit()
    with running(model, locks) as server:
        dav = server.client()
        times = []
        reply = dav("PROPFIND", "/d/", NEXTCLOUD, Depth="1")
        for _ in range(5):
            started = time.perf_counter()
            dav("PROPFIND", "/d/", NEXTCLOUD, Depth="1")
            times.append(time.perf_counter() - started)
        assert reply.body.count(b"<D:response>") == 10_001
        print(f"PROPFIND of 10,000: best {min(times) * 1000:.0f} ms")
        # Measured at 60 ms on two shared cores; the limit leaves room for a busy machine.
        assert min(times) < 0.5
