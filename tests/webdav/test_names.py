"""Names of every kind, by every verb that carries one."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest

from tests.webdav.client import Client

NAMES = [
    "a;b",
    "a?b",
    "a#b",
    "a%b",
    "a%20b",
    "a+b",
    "a&b=c",
    "it's",
    'say "x"',
    "<tag>",
    "back\\slash",
    "pipe|star*",
    "a:b",
    "[x]{y}^`~",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "日本語",
    "x" * 255,
    "é" * 127,
    ".hidden",
    "...",
    "trailing ",
    " leading",
    "dot.",
    "-rf",
    "new\nline",
    "CON",
    "\x7f\x01",
    "\u202eltr",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_kept_by_every_verb(dav: Client, name: str) -> None:
    escaped = quote(name, safe="")
    assert dav("PUT", f"/{escaped}", b"1").status == 201
    assert dav("GET", f"/{escaped}").body == b"1"
    shown = [h for h in dav("PROPFIND", "/", Depth="1").hrefs if h != "/dav/"]
    assert [unquote(h) for h in shown] == [f"/dav/{name}"]
    assert dav("GET", shown[0].removeprefix("/dav")).body == b"1"
    assert dav("MKCOL", "/d").status == 201
    to = dav.url(f"/d/{escaped}")
    assert dav("COPY", f"/{escaped}", None, Destination=to).status == 201
    assert dav("MOVE", f"/{escaped}", None, Destination=to).status == 204
    inside = dav("PROPFIND", "/d", Depth="1").hrefs
    assert [unquote(h) for h in inside] == ["/dav/d/", f"/dav/d/{name}"]
    assert dav("MKCOL", f"/{escaped}").status == 201
    assert dav("PUT", f"/{escaped}/f", b"2").status == 201
    assert dav("GET", f"/{escaped}/f").body == b"2"
    assert dav("DELETE", f"/{escaped}").status == 204
    assert dav("DELETE", f"/d/{escaped}").status == 204
    assert dav("PROPFIND", "/d", Depth="1").hrefs == ["/dav/d/"]


NO_NAMES = [
    "/x%2Fy",
    "/..",
    "/a/../b",
    "/%2e%2e/b",
    "/.",
    "/%00",
    "/%ff",
    "/%zz",
    "/%",
    "/" + "x" * 256,
]


@pytest.mark.parametrize("path", NO_NAMES)
def test_what_is_no_name_is_400_for_every_verb(dav: Client, path: str) -> None:
    assert dav("PUT", path, b"x").status == 400
    for method in ("GET", "PROPFIND", "MKCOL", "DELETE", "LOCK"):
        assert dav(method, path).status == 400
    dav("PUT", "/f", b"x")
    assert dav("MOVE", "/f", None, Destination=dav.url(path)).status == 400
    assert dav("PROPFIND", "/", Depth="1").hrefs == ["/dav/", "/dav/f"]


def test_nfc_and_nfd_are_one_file_shown_as_first_written(dav: Client) -> None:
    composed, decomposed = "/caf%C3%A9", "/cafe%CC%81"
    assert dav("PUT", decomposed, b"1").status == 201
    assert dav("PUT", composed, b"2").status == 204
    assert dav("GET", decomposed).body == b"2"
    assert dav("PROPFIND", "/", Depth="1").hrefs[1:] == ["/dav" + decomposed]


@pytest.mark.parametrize("overwrite", ["T", "F"])
def test_a_rename_to_the_other_form_changes_what_is_shown(dav: Client, overwrite: str) -> None:
    composed, decomposed = "/caf%C3%A9", "/cafe%CC%81"
    dav("PUT", decomposed, b"1")
    headers = {"Destination": dav.url(composed), "Overwrite": overwrite}
    assert dav("MOVE", decomposed, None, headers).status in (201, 204)
    assert dav("PROPFIND", "/", Depth="1").hrefs[1:] == ["/dav" + composed]
    assert dav("GET", decomposed).body == b"1"


def test_a_query_is_no_part_of_the_name_and_slashes_may_double(dav: Client) -> None:
    dav("MKCOL", "/d")
    dav("PUT", "/d/f", b"1")
    assert dav("GET", "/d/f?version=2").body == b"1"
    assert dav("GET", "//dav//d///f").body == b"1"
