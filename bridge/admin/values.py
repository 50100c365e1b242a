"""The types of single values in requests and answers, each with its JSON Schema."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from bridge import names
from bridge.tenants.api import Right, Status

CREDENTIAL = r"^[a-z0-9-]{1,63}([.][A-Za-z0-9_.@-]{1,128})?$"
"""The user name of a credential: ``<tenant>`` or ``<tenant>.<label>``."""

TOKEN = r"^[A-Za-z0-9_-]{1,64}$"  # noqa: S105 - the form of ids
"""A token's id, which is no secret."""

_PARTNER = rf"^({names.PRODUCT.strip('^$')})?$"
"""The configured one is meant by "" too."""

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _seconds(value: object) -> object:
    """Unix seconds of RFC 3339's date and time."""
    if not (isinstance(value, str) and len(value) <= 64 and _TIME.fullmatch(value)):
        raise ValueError("a time looks like 2031-12-31T23:59:59Z")
    try:
        return datetime.fromisoformat(_microseconds(value).upper()).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("there is no such time") from None


def _microseconds(time: str) -> str:
    """Without the digits of a fraction that Python does not take, and leap seconds."""
    time = re.sub(r"(\.[0-9]{1,6})[0-9]*", r"\1", time)
    return re.sub(r":60(?=[.Zz+-])", ":59", time)


def time_text(seconds: float) -> str:
    """Unix seconds as RFC 3339 has them, in whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day(value: str) -> str:
    try:
        if not _DAY.fullmatch(value):
            raise ValueError
        date.fromisoformat(value)
    except ValueError:
        raise ValueError("a day looks like 2031-12-31") from None
    return value


def _whole(value: object) -> object:
    """JSON has one kind of number, and 1e9 is as whole as 1000000000."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _flag(value: object) -> object:
    if value not in ("true", "false"):
        raise ValueError("this is true or false")
    return value == "true"


def _once(rights: list[RightName]) -> list[RightName]:
    if len(set(rights)) < len(rights):
        raise ValueError("each right stands once")
    return rights


StatusName = Literal["creating", "active", "suspended", "deleting"]
RightName = Literal["read", "write", "list", "delete"]

TenantId = Annotated[str, Field(max_length=63, pattern=names.TENANT)]
Label = Annotated[str, Field(max_length=128, pattern=names.LABEL)]
Bucket = Annotated[str, Field(pattern=names.BUCKET)]
Partner = Annotated[str, Field(max_length=names.LONGEST_PRODUCT, pattern=_PARTNER)]
Quota = Annotated[int, Field(ge=0, le=1 << 62), BeforeValidator(_whole)]
Root = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^/")]
TokenLabel = Annotated[str, Field(min_length=1, max_length=128)]
Rights = Annotated[
    list[RightName],
    Field(min_length=1, max_length=4, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_once),
]
Time = Annotated[
    float, BeforeValidator(_seconds), WithJsonSchema({"type": "string", "format": "date-time"})
]
Day = Annotated[str, AfterValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
TimeText = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


def rights_of(names: list[RightName]) -> Right:
    """The rights of these names."""
    rights = Right(0)
    for name in names:
        rights |= Right[name.upper()]
    return rights


def right_names(rights: Right) -> list[RightName]:
    """The names of these rights, in one order."""
    every: tuple[RightName, ...] = ("read", "write", "list", "delete")
    return [name for name in every if Right[name.upper()] in rights]


def status_name(status: Status) -> StatusName:
    """The name of this status."""
    names: dict[str, StatusName] = {
        "CREATING": "creating",
        "ACTIVE": "active",
        "SUSPENDED": "suspended",
        "DELETING": "deleting",
    }
    return names[status.name]
