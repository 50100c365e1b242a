"""The ``If`` header (RFC 4918, section 10.4): parsed once, asked of any resource."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from bridge.http.errors import Refused

# Possessive where two neighbours match spaces: else a header of spaces alone would take for ever.
_TOKEN = re.compile(
    r"""\s*+(?:
      (?P<open>\() | (?P<close>\)) | (?P<not>[Nn][Oo][Tt]\b)
    | <(?P<angle>[^<>]*+)>
    | \[\s*+(?P<weak>W/)?(?:"(?P<tag>[^"]*+)"\s*+|(?P<bare>[^\]"]*+))\]
    )\s*+""",
    re.VERBOSE,
)

_LIMIT = 200
"""Most conditions in one header; more are an attack."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One state token or entity tag, asserted or (``negated``) denied."""

    negated: bool
    token: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class ConditionList:
    """Conditions that must all hold of ``resource``: a URL, or None for the request's own."""

    resource: str | None
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class IfHeader:
    """Lists of which at least one must hold."""

    lists: tuple[ConditionList, ...]

    @property
    def tokens(self) -> frozenset[str]:
        """Every state token in it: to name a token anywhere is to submit it (section 6.5)."""
        return frozenset(
            c.token for each in self.lists for c in each.conditions if c.token is not None
        )

    def holds(self, state: Callable[[str | None], tuple[str, AbstractSet[str]]]) -> bool:
        """Whether it is true, given ``state``: the etag and the lock tokens of a resource."""
        known: dict[str | None, tuple[str, AbstractSet[str]]] = {}
        for each in self.lists:
            if each.resource not in known:
                known[each.resource] = state(each.resource)
            etag, tokens = known[each.resource]
            if all(_holds(condition, etag, tokens) for condition in each.conditions):
                return True
        return False


def _holds(condition: Condition, etag: str, tokens: AbstractSet[str]) -> bool:
    if condition.token is not None:
        true = condition.token in tokens
    else:
        true = bool(etag) and condition.etag == etag
    return true is not condition.negated


def parse_if(header: str) -> IfHeader:
    """Parse; raises Refused 400 for what the grammar does not allow."""
    lists: list[ConditionList] = []
    resource: str | None = None
    conditions: list[Condition] | None = None
    negated = False
    position = 0
    count = 0
    while position < len(header):
        match = _TOKEN.match(header, position)
        count += 1
        if match is None or count > 4 * _LIMIT:
            raise _malformed()
        position = match.end()
        if conditions is None:
            if match["angle"] is not None:
                resource = match["angle"]
            elif match["open"]:
                conditions = []
            else:
                raise _malformed()
        elif match["not"]:
            if negated:
                raise _malformed()
            negated = True
        elif match["close"]:
            if not conditions or negated:
                raise _malformed()
            lists.append(ConditionList(resource, tuple(conditions)))
            conditions = None
        elif match["open"]:
            raise _malformed()
        else:
            conditions.append(_condition(match, negated=negated))
            negated = False
    if conditions is not None or not lists:
        raise _malformed()
    return IfHeader(tuple(lists))


def _condition(match: re.Match[str], *, negated: bool) -> Condition:
    if match["angle"] is not None:
        return Condition(negated, token=match["angle"])
    tag = match["tag"] if match["tag"] is not None else match["bare"].rstrip()
    # A weak tag never matches: all of ours are strong.
    return Condition(negated, etag="W/" + tag if match["weak"] else tag)


def _malformed() -> Refused:
    return Refused(400, "the If header is malformed")
