"""What one small request may cost: no header and no body keeps the process busy, or fills it."""

from __future__ import annotations

import time

import pytest

from bridge.files.api import Entry, FileTree
from bridge.files.path import DEPTH_LIMIT
from bridge.http.errors import Refused
from bridge.http.limits import Limits
from bridge.http.ranges import parse_range
from bridge.state.api import Locks
from bridge.webdav import propfind as propfind_verb
from bridge.webdav.if_header import parse_if
from bridge.webdav.media_types import declared, shown_inline
from bridge.webdav.xml import parse_xml
from tests.webdav.client import Client
from tests.webdav.polling import until
from tests.webdav.server import running

SPACES = " " * 8000
A_MOMENT = 1.0
"""Seconds that nothing here comes near; what these tests guard against took minutes or hours."""


@pytest.mark.parametrize(
    "header",
    [f'([{SPACES}x"', f"([{SPACES}", f"({SPACES}!", f"{SPACES}!", f'(["a"{SPACES}!', f"(<{SPACES}"],
)
def test_spaces_in_an_if_header_are_not_tried_in_every_way(header: str) -> None:
    before = time.process_time()
    with pytest.raises(Refused):
        parse_if(header)
    assert time.process_time() - before < A_MOMENT


def test_an_entity_tag_without_quotes_is_taken_without_the_spaces_around_it() -> None:
    (found,) = parse_if("([ \t abc \t ])").lists
    assert [condition.etag for condition in found.conditions] == ["abc"]


@pytest.mark.parametrize(
    "spec", [f"1-{SPACES}{SPACES}x", f"1{SPACES}x", f"{SPACES}x", f"-{SPACES}x"]
)
def test_spaces_in_a_range_are_not_tried_in_every_way(spec: str) -> None:
    before = time.process_time()
    assert parse_range(f"bytes={spec}", 10) is None
    assert time.process_time() - before < A_MOMENT


@pytest.mark.parametrize(
    "names", [b"".join(b"<a%x/>" % number for number in range(100_000)), b"<a/>" * 200_000]
)
def test_a_mebibyte_of_properties_is_refused_at_the_thousandth(dav: Client, names: bytes) -> None:
    body = b'<propertyupdate xmlns="DAV:"><set><prop>' + names + b"</prop></set></propertyupdate>"
    before = time.monotonic()
    assert dav("PROPPATCH", "/", body).status == 413
    assert time.monotonic() - before < 10 * A_MOMENT


LONG = b"n" * 200_000

BLOWN_UP = [
    b'<propfind xmlns="DAV:" xmlns:a="%s"><prop>%s</prop></propfind>',
    b"<propfind xmlns='DAV:' xmlns:a = \n '%s'><prop>%s</prop></propfind>",
]


@pytest.mark.parametrize("document", BLOWN_UP)
@pytest.mark.parametrize(
    "names",
    [
        b"".join(b"<a:b%x/>" % number for number in range(20_000)),
        b"<b " + b" ".join(b'a:c%x=""' % number for number in range(20_000)) + b"/>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_long_namespace_is_not_put_before_thousands_of_names(
    document: bytes, names: bytes, encoding: str
) -> None:
    body = (document % (LONG, names)).decode().encode(encoding)
    before = time.process_time()
    with pytest.raises(Refused) as refused:
        parse_xml(body, "{DAV:}propfind")
    assert refused.value.status == 400
    assert time.process_time() - before < A_MOMENT


def test_an_encoding_in_which_markup_cannot_be_found_is_refused() -> None:
    with pytest.raises(Refused):
        parse_xml(b"<?xml version='1.0' encoding='cp037'?><a/>", "a")


@pytest.mark.parametrize(
    "document",
    [
        "<?xml version='1.0' encoding='UTF-8'?><a>ä</a>".encode(),
        '\ufeff<?xml version="1.0" encoding="utf-8" standalone="yes"?><a>ä</a>'.encode(),
        '<?xml version="1.0" encoding="ISO-8859-1"?><a>ä</a>'.encode("latin-1"),
        '<?xml version="1.0" encoding="utf-16"?><a>ä</a>'.encode("utf-16"),
        "<a>ä</a>".encode("utf-16"),
    ],
)
def test_the_encodings_that_clients_use_are_read(document: bytes) -> None:
    assert parse_xml(document, "a").text == "ä"


def test_one_long_value_is_no_attack(dav: Client) -> None:
    value = b'<x:a xmlns:x="urn:x" picture="' + b"v" * 60_000 + b'"/>'
    body = b'<propertyupdate xmlns="DAV:"><set><prop>' + value + b"</prop></set></propertyupdate>"
    dav("PUT", "/a", b"")
    reply = dav("PROPPATCH", "/a", body)
    assert reply.status == 207
    assert b"200 OK" in reply.body


@pytest.mark.parametrize("ask", [b"<prop>%s</prop>", b"<allprop/><include>%s</include>"])
def test_names_too_long_to_be_repeated_for_every_entry_are_refused(dav: Client, ask: bytes) -> None:
    names = b"".join(b'<a xmlns="%s%d"/>' % (b"n" * 200, number) for number in range(400))
    body = b'<propfind xmlns="DAV:">' + ask % names + b"</propfind>"
    assert dav("PROPFIND", "/", body, Depth="0").status == 400


def test_a_property_included_again_and_again_is_told_once(dav: Client) -> None:
    again = b"<quota-used-bytes/>" * 1000
    body = b'<propfind xmlns="DAV:"><allprop/><include>' + again + b"</include></propfind>"
    assert dav("PROPFIND", "/", body, Depth="0").body.count(b"<D:quota-used-bytes>") <= 1


def test_a_whole_tree_that_would_fill_the_memory_is_refused(
    model: FileTree, locks: Locks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propfind_verb, "_MOST_HELD", 50_000)
    with running(model, locks) as server:
        dav = server.client()
        for number in range(100):
            dav("PUT", f"/{number}", b"")
        reply = dav("PROPFIND", "/", Depth="infinity")
        assert reply.status == 403
        assert reply.xml.find("{DAV:}propfind-finite-depth") is not None
        assert dav("PROPFIND", "/", Depth="1").status == 207


def test_shared_locks_on_one_resource_have_a_limit(dav: Client) -> None:
    body = (
        b'<lockinfo xmlns="DAV:"><lockscope><shared/></lockscope>'
        b"<locktype><write/></locktype></lockinfo>"
    )
    statuses = [dav("LOCK", "/", body).status for _ in range(34)]
    assert statuses == [200] * 32 + [507] * 2


@pytest.mark.parametrize(
    "kind", ["image/SVG+XML", "image/svg+xml", "text/plain; ,text/html", "image/png,text/html"]
)
def test_no_spelling_of_a_type_makes_a_browser_run_a_file(kind: str) -> None:
    assert not shown_inline(kind)


def test_a_content_type_has_no_spaces_that_xml_or_a_header_does_not_know() -> None:
    assert declared("text/plain\x1c;x") == declared("text/plain\x85;x") == ""
    assert declared("text/plain ; charset=utf-8") == "text/plain ; charset=utf-8"


@pytest.mark.parametrize("coding", ["gzip, chunked", "deflate, chunked"])
def test_a_body_in_another_transfer_coding_is_refused(dav: Client, coding: str) -> None:
    with dav.raw() as raw:
        raw.send("PUT", "/a", f"Transfer-Encoding: {coding}", body=b"5\r\nhello\r\n0\r\n\r\n")
        assert raw.reply().status == 501
    assert dav("GET", "/a").status == 404


def test_who_takes_nothing_of_whole_answers_is_cut_off(model: FileTree, locks: Locks) -> None:
    with running(model, locks, limits=Limits(idle=0.3, drain=0.1)) as server:
        dav = server.client()
        dav("PUT", "/a", b"x" * (1 << 20))
        with dav.raw() as raw:
            for _ in range(30):  # together more than all buffers on the way hold
                raw.send("GET", "/a")
            until(lambda: len(server.served) > 1)
            until(lambda: not server.server.connections)


def test_a_slow_client_that_takes_enough_of_whole_answers_gets_all(
    model: FileTree, locks: Locks
) -> None:
    with running(model, locks, limits=Limits(idle=0.2, rate=1000)) as server:
        dav = server.client()
        dav("PUT", "/a", b"x" * (1 << 20))
        with dav.raw() as raw:
            for _ in range(8):
                raw.send("GET", "/a")
            for _ in range(8):
                time.sleep(0.1)  # a client's own pace, not a wait for something
                assert len(raw.reply().body) == 1 << 20


def test_a_folder_that_lies_in_itself_is_walked_to_the_deepest_path_only(
    model: FileTree, locks: Locks, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = Entry(name="a", is_directory=True)
    monkeypatch.setattr(model, "list", lambda _path: iter([inside]))
    with running(model, locks) as server:
        reply = server.client()("PROPFIND", "/", Depth="infinity")
    assert reply.status == 207
    assert len(reply.hrefs) == DEPTH_LIMIT + 1


def test_each_of_many_locks_is_told_with_its_entry_alone(model: FileTree, locks: Locks) -> None:
    body = (
        b'<lockinfo xmlns="DAV:"><lockscope><%s/></lockscope>'
        b"<locktype><write/></locktype></lockinfo>"
    )
    with running(model, locks) as server:
        dav = server.client()
        dav("MKCOL", "/f")
        dav("PUT", "/f/1", b"")
        dav("LOCK", "/f", body % b"shared", Depth="infinity")
        dav("LOCK", "/f/1", body % b"shared", Depth="0")
        for number in ("10", "2"):
            dav("PUT", f"/g{number}", b"")
            dav("LOCK", f"/g{number}", body % b"exclusive")
        told = {}
        reply = dav("PROPFIND", "/", Depth="infinity")
        for response in reply.xml:
            roots = [href.text for href in response.iterfind(".//{DAV:}lockroot/{DAV:}href")]
            told[response.findtext("{DAV:}href")] = sorted(map(str, roots))
    assert told == {
        "/dav/": [],
        "/dav/f/": ["/dav/f"],
        "/dav/f/1": ["/dav/f", "/dav/f/1"],
        "/dav/g10": ["/dav/g10"],
        "/dav/g2": ["/dav/g2"],
    }
