"""Reads what requests bring: JSON and queries, strictly, so that nothing is guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NoReturn, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import ValidationError

from bridge.admin.models import Fault, Input
from bridge.admin.problems import Faulty, faulty
from bridge.http.errors import Refused

I = TypeVar("I", bound=Input)  # noqa: E741 - an input

BODY = 1 << 16
"""Bytes of a body: the longest holds two grants."""

_PARAMETERS = 8


def read_input(model: type[I], values: object) -> I:
    """The model of what came. Raises Faulty."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # Not chained: it would hold what the request held.
        raise faulty(error) from None


def read_json(content_type: str | None, body: bytes) -> object:
    """The value of a JSON body (RFC 8259). Raises Refused 415, Faulty."""
    _check_json(content_type)
    try:
        return json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        message = str(error) if isinstance(error, _NotJson) else "the body is not JSON in UTF-8"
        raise Faulty([Fault(at="", message=message)]) from None


class _NotJson(ValueError):
    """JSON that leaves open what it means."""


def _check_json(content_type: str | None) -> None:
    kind, _, parameters = (content_type or "").partition(";")
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise Refused(415, "send JSON: Content-Type: application/json")


def _object(pairs: list[tuple[str, object]]) -> Mapping[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise _NotJson("a field stands twice")
    return values


def _no_constant(_name: str) -> NoReturn:
    raise _NotJson("NaN and Infinity are no JSON")


def read_query(query: str) -> Mapping[str, str]:
    """The parameters of a query. Raises Faulty."""
    values: dict[str, str] = {}
    if not query:
        return values
    for part in query.split("&", _PARAMETERS):
        name, _, value = part.replace("+", " ").partition("=")
        try:
            name, value = _unquoted(name), _unquoted(value)
        except UnicodeDecodeError:
            raise Faulty([Fault(at="", message="the query is not UTF-8")]) from None
        if name in values:
            raise Faulty([Fault(at="", message="a parameter stands twice")])
        values[name] = value
    return values


def _unquoted(text: str) -> str:
    return unquote_to_bytes(text).decode()


def wants_csv(accept: str | None) -> bool:
    """Whether ``Accept`` (RFC 9110, section 12.5.1) puts CSV before JSON."""
    quality = {"text/csv": 0.0, "application/json": 0.0}
    for part in (accept or "").lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind in quality:
            quality[kind] = next((_number(p[2:]) for p in parameters if p[:2] == "q="), 1.0)
    return quality["text/csv"] > quality["application/json"]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
