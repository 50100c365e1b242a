"""What goes wrong, as RFC 9457 has it, and the one table from errors to statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from bridge.admin.models import Fault, Problem
from bridge.http.errors import Refused, phrase
from bridge.state import api as state
from bridge.tenants import api as tenants

CONTENT_TYPE = "application/problem+json"

_MOST_FAULTS = 10
_LONGEST_FIELD = 32


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error means to whoever asked.

    ``sentence``: what to say, None for the error's own words, if these are made for an operator.
    """

    status: int
    sentence: str | None = None


NO_TENANT = Meaning(404, "there is no such tenant")
"""Said alike of a tenant that is not there, and of one that is none of the token's business."""

MEANINGS: Mapping[type[Exception], Meaning] = {
    tenants.NoSuchTenant: NO_TENANT,
    tenants.NoSuchCredential: Meaning(404, "the tenant has no such credential"),
    tenants.NoSuchToken: Meaning(404, "there is no such token"),
    tenants.AlreadyThere: Meaning(409),
    tenants.NotForTenant: Meaning(409),
    tenants.Invalid: Meaning(422),
    tenants.TenantError: Meaning(409),
    state.StateFull: Meaning(507, "the database's disk is full"),
    state.StateError: Meaning(503, "the database does not answer; try again"),
}
"""By class; a subclass has its nearest ancestor's."""

UNFORESEEN = "something went wrong; the log has it under this request's id"

RETRY_AFTER = "10"
"""Seconds after which a 503 may be tried again."""


class Faulty(Refused):
    """A request that is not well-formed: 400, with what is wrong and where."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(400, "the request is not as it should be: see errors")
        self.faults = list(faults)[:_MOST_FAULTS]


def faulty(error: ValidationError) -> Faulty:
    """What pydantic found, without anything of what the request held."""
    faults = []
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        place = list(found["loc"])
        message = found["msg"].removeprefix("Value error, ")
        if found["type"] == "extra_forbidden":
            # Whoever mistook a secret for a field's name must not find it in a log of errors.
            name = str(place.pop())
            known = name.isidentifier() and len(name) <= _LONGEST_FIELD
            message = f"there is no field {name}" if known else "there is no such field"
        faults.append(Fault(at="".join(f"/{part}" for part in place), message=message))
    return Faulty(faults)


def meaning_of(
    error: Exception, more: Mapping[type[Exception], Meaning] | None = None
) -> Refused | None:
    """The refusal that an error means; None for one that should not happen."""
    for kind in type(error).__mro__:
        meaning = MEANINGS.get(kind) or (more or {}).get(kind)
        if meaning is not None:
            headers = {"Retry-After": RETRY_AFTER} if meaning.status == 503 else None
            sentence = str(error) if meaning.sentence is None else meaning.sentence
            return Refused(meaning.status, sentence, headers=headers)
    return None


def refuse(meaning: Meaning) -> Refused:
    """The refusal that says so."""
    return Refused(meaning.status, meaning.sentence or "")


def problem(refused: Refused) -> bytes:
    """The body of an answer that refuses."""
    return (
        Problem(
            title=phrase(refused.status),
            status=refused.status,
            detail=refused.message,
            errors=refused.faults if isinstance(refused, Faulty) else [],
        )
        .model_dump_json()
        .encode()
    )
