"""PROPPATCH."""

from __future__ import annotations

import pytest

from tests.webdav.client import Client, Reply

DAV = 'xmlns:D="DAV:" xmlns:x="urn:x" xmlns:w="urn:schemas-microsoft-com:"'


def update(*instructions: tuple[str, str]) -> bytes:
    inner = "".join(f"<D:{kind}><D:prop>{text}</D:prop></D:{kind}>" for kind, text in instructions)
    return f"<D:propertyupdate {DAV}>{inner}</D:propertyupdate>".encode()


def patch(dav: Client, path: str, *instructions: tuple[str, str]) -> Reply:
    reply = dav("PROPPATCH", path, update(*instructions))
    assert reply.status == 207
    return reply


@pytest.fixture
def file(dav: Client) -> str:
    dav("PUT", "/a", b"x")
    return "/a"


def modified(dav: Client, path: str) -> str | None:
    return dav("PROPFIND", path, Depth="0").props()["{DAV:}getlastmodified"].text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<D:lastmodified>1000000000</D:lastmodified>", "Sun, 09 Sep 2001 01:46:40 GMT"),
        (
            "<D:getlastmodified>Sun, 09 Sep 2001 01:46:40 GMT</D:getlastmodified>",
            "Sun, 09 Sep 2001 01:46:40 GMT",
        ),
        (
            "<w:Win32LastModifiedTime>Sun, 09 Sep 2001 01:46:40 GMT</w:Win32LastModifiedTime>",
            "Sun, 09 Sep 2001 01:46:40 GMT",
        ),
    ],
)
def test_each_clients_way_to_set_the_time_sets_it(
    dav: Client, file: str, text: str, shown: str
) -> None:
    etag = dav("HEAD", file).header("ETag")
    reply = patch(dav, file, ("set", text))
    assert len(reply.props(0, 200)) == 1
    assert modified(dav, file) == shown
    assert dav("HEAD", file).header("ETag") == etag


@pytest.mark.parametrize("time", ["soon", "", "1e400", "nan", "-5", "999999999999999"])
def test_a_time_that_is_none_is_409_and_changes_nothing(dav: Client, file: str, time: str) -> None:
    before = modified(dav, file)
    reply = patch(dav, file, ("set", f"<D:lastmodified>{time}</D:lastmodified><x:a>1</x:a>"))
    assert "{DAV:}lastmodified" in reply.props(0, 409)
    assert "{urn:x}a" in reply.props(0, 424)
    assert modified(dav, file) == before


def test_windows_times_and_attributes_are_kept_and_read_back(dav: Client, file: str) -> None:
    text = "<w:Win32FileAttributes>00000020</w:Win32FileAttributes>"
    assert "{urn:schemas-microsoft-com:}Win32FileAttributes" in patch(
        dav, file, ("set", text)
    ).props(0, 200)
    props = dav("PROPFIND", file, Depth="0").props()
    assert props["{urn:schemas-microsoft-com:}Win32FileAttributes"].text == "00000020"


def test_a_protected_property_fails_and_takes_the_others_with_it(dav: Client, file: str) -> None:
    reply = patch(dav, file, ("set", "<x:a>1</x:a><D:getetag>no</D:getetag>"))
    assert "{DAV:}getetag" in reply.props(0, 403)
    assert "{urn:x}a" in reply.props(0, 424)
    assert "{urn:x}a" not in dav("PROPFIND", file, Depth="0").props()


def test_instructions_are_followed_in_their_order(dav: Client, file: str) -> None:
    patch(
        dav,
        file,
        ("set", "<x:a>1</x:a><x:b>1</x:b>"),
        ("remove", "<x:a/>"),
        ("set", "<x:b>2</x:b>"),
        ("remove", "<x:none/>"),
    )
    props = dav("PROPFIND", file, Depth="0").props()
    assert "{urn:x}a" not in props
    assert props["{urn:x}b"].text == "2"


def test_structured_values_and_their_language_come_back(dav: Client, file: str) -> None:
    body = (
        f'<D:propertyupdate {DAV} xml:lang="de"><D:set><D:prop><x:a>vor<x:b k="v">&amp;&#65536;'
        "</x:b>nach</x:a></D:prop></D:set></D:propertyupdate>"
    )
    assert dav("PROPPATCH", file, body.encode()).status == 207
    value = dav("PROPFIND", file, Depth="0").props()["{urn:x}a"]
    assert value.get("{http://www.w3.org/XML/1998/namespace}lang") == "de"
    assert (value.text, value[0].text, value[0].tail) == ("vor", "&\U00010000", "nach")
    assert value[0].attrib == {"k": "v"}


def test_a_display_name_can_be_set_and_taken_away(dav: Client, file: str) -> None:
    patch(dav, file, ("set", "<D:displayname>shown</D:displayname>"))
    assert dav("PROPFIND", file, Depth="0").props()["{DAV:}displayname"].text == "shown"
    patch(dav, file, ("remove", "<D:displayname/>"))
    assert dav("PROPFIND", file, Depth="0").props()["{DAV:}displayname"].text == "a"


def test_dead_properties_survive_overwrite_move_and_copy(dav: Client, file: str) -> None:
    patch(dav, file, ("set", "<x:a>1</x:a>"))
    dav("PUT", file, b"new content")
    dav("COPY", file, None, Destination=dav.url("/copy"))
    dav("MOVE", file, None, Destination=dav.url("/moved"))
    for path in ("/copy", "/moved"):
        assert dav("PROPFIND", path, Depth="0").props()["{urn:x}a"].text == "1"


def test_more_properties_than_fit_are_507_and_to_nextcloud_403(dav: Client, file: str) -> None:
    huge = update(("set", f"<x:a>{'x' * 900_000}</x:a>"))
    assert dav("PROPPATCH", file, huge).status == 507
    assert dav("PROPPATCH", file, huge, User_Agent="sabre-dav/4.7.0").status == 403


def test_a_missing_file_is_404_and_a_failed_condition_412(dav: Client, file: str) -> None:
    body = update(("set", "<x:a>1</x:a>"))
    assert dav("PROPPATCH", "/none", body).status == 404
    assert dav("PROPPATCH", file, body, If_Match='"other"').status == 412
