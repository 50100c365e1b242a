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
    """Status, body and, where something was made, its path below the API's root."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    location: str | None = None


def answer(model: BaseModel, status: int = 200, *, location: str | None = None) -> Answer:
    """An answer in JSON."""
    return Answer(status, model.model_dump_json().encode(), location=location)
