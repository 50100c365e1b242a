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


def parse_xml(body: bytes, root: str) -> Element:
    """The root element, which must be ``root`` (Clark name).

    Raises Refused 400: malformed, entities, a DTD, nested too deep, or something else.
    """
    try:
        element: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        # LookupError: an encoding that Python does not know
        raise Refused(400, "the body is not acceptable XML") from None
    if element.tag != root:
        raise Refused(400, f"the body must be one {split(root)[1]} element")
    if _depth(element) > _MOST_NESTED:
        raise Refused(400, "the body is nested too deep")
    return element


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
