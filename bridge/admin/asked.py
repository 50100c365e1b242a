"""What a route is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

JSON = "application/json"
CSV = "text/csv; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Asked:
    """The names in a request's path, "" where there is none, and whether it prefers CSV."""

    tenant: str = ""
    credential: str = ""
    token: str = ""
    csv: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body. Where something was made: its path below the API's root, whose it is."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    location: str | None = None
    tenant: str = ""


def answer(model: BaseModel) -> Answer:
    """An answer in JSON."""
    return Answer(200, model.model_dump_json().encode())


def made(model: BaseModel, location: str, tenant: str) -> Answer:
    """The answer of a creation, in JSON."""
    return Answer(201, model.model_dump_json().encode(), location=location, tenant=tenant)
