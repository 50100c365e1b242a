"""XML from clients, parsed so that it cannot harm, and XML for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError, tostring
from xml.sax.saxutils import escape

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from bridge.http.errors import Refused

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_CLARK = re.compile(r"\{([^}]*)\}(.+)", re.DOTALL)
_MOST_NESTED = 100

_DECLARED = re.compile(rb"""<\?xml\s[^>]{0,100}?encoding\s{0,9}=\s{0,9}["']([\w.-]{1,20})["']""")
_ENCODINGS = {"utf-8": "utf-8", "us-ascii": "ascii", "iso-8859-1": "latin-1", "utf-16": "utf-16"}
"""XML's own two, and those of old clients."""

_LONG_VALUE = re.compile(r"""=\s*+(?:"[^"]{256,}+|'[^']{256,}+)""")
_MOST_EXPANDED = 1 << 24
"""Most characters that all names of a document may have, each with its namespace before it."""


def parse_xml(body: bytes, root: str) -> Element:
    """The root element, which must be ``root`` (Clark name).

    Raises Refused 400: malformed, entities, a DTD, nested too deep, long namespaces for many names,
    or something else.
    """
    try:
        text = _decoded(body)
        _require_bounded(text)
        element: Element = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        # LookupError: an encoding that is not taken
        raise Refused(400, "the body is not acceptable XML") from None
    if element.tag != root:
        raise Refused(400, f"the body must be one {split(root)[1]} element")
    if _depth(element) > _MOST_NESTED:
        raise Refused(400, "the body is nested too deep")
    return element


def _decoded(body: bytes) -> str:
    """The document as text; LookupError and UnicodeError where its encoding is none of ours."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return body.decode("utf-16")
    match = _DECLARED.match(body.removeprefix(b"\xef\xbb\xbf"))
    encoding = "utf-8" if match is None else _ENCODINGS[match[1].decode("latin-1").lower()]
    return body.decode(encoding).removeprefix("\ufeff")


def _require_bounded(text: str) -> None:
    """Refuse what one long namespace, shared by many names, would blow up to gigabytes.

    The parser puts its namespace before each name, so this must be asked before it runs. There are
    no more elements than ``<`` and no more attributes than ``=``.
    """
    longest = max((match.end() - match.start() for match in _LONG_VALUE.finditer(text)), default=0)
    if longest and longest * (text.count("<") + text.count("=")) > _MOST_EXPANDED:
        raise Refused(400, "a namespace is too long for so many names")


def _depth(element: Element) -> int:
    depth = 0
    level = [element]
    while level:
        depth += 1
        level = [child for parent in level for child in parent]
    return depth


def split(name: str) -> tuple[str, str]:
    """Namespace and local name of a Clark name."""
    match = _CLARK.fullmatch(name)
    return ("", name) if match is None else (match[1], match[2])


def serialized(element: Element, lang: str | None = None) -> str:
    """One element as text that carries its own namespaces, and ``lang`` if it has none."""
    element.tail = None
    if lang is not None and element.get(_LANG) is None:
        element.set(_LANG, lang)
    return tostring(element, encoding="unicode")


def language(element: Element) -> str | None:
    """The element's own ``xml:lang``."""
    return element.get(_LANG)


def empty_element(name: str) -> str:
    """``<D:name/>`` for a Clark name, with its namespace declared unless it is DAV:'s."""
    namespace, local = split(name)
    if namespace == "DAV:":
        return f"<D:{local}/>"
    quoted = escape(namespace, {'"': "&quot;"})
    return f'<x:{local} xmlns:x="{quoted}"/>' if namespace else f'<{local} xmlns=""/>'
