"""Conditional requests (RFC 9110, section 13), for any resource with or without an etag."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.http.dates import parse_http_date
from bridge.http.errors import Refused

_TAG = re.compile(r'(W/)?"([^"]*)"|([^\s,"]+)')


@dataclass(frozen=True, slots=True)
class Conditions:
    """The four conditional headers of a request, as they came; None where absent."""

    match: str | None = None
    none_match: str | None = None
    modified: str | None = None
    unmodified: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Conditions | None:
        """Those of a request; None, at no cost, when it has none."""
        match = headers.get("If-Match")
        none_match = headers.get("If-None-Match")
        modified = headers.get("If-Modified-Since")
        unmodified = headers.get("If-Unmodified-Since")
        if match is none_match is modified is unmodified is None:
            return None
        return cls(match, none_match, modified, unmodified)

    def check(self, *, exists: bool, etag: str, mtime: float, read: bool) -> bool:
        """Whether to go on: False means 304, for a read; raises Refused 412.

        ``etag`` unquoted, ``""`` if it has none. The order is RFC 9110's, section 13.2.2.
        """
        if self.match is not None:
            if not (exists and tag_matches(self.match, etag, weak=False)):
                raise Refused(412, "If-Match names another version")
        elif self.unmodified is not None:
            limit = parse_http_date(self.unmodified)
            if limit is not None and (not exists or int(mtime) > limit):
                raise Refused(412, "it was modified since then")
        if self.none_match is not None:
            if exists and tag_matches(self.none_match, etag, weak=True):
                if read:
                    return False
                raise Refused(412, "If-None-Match names this version")
        elif self.modified is not None and read and exists:
            limit = parse_http_date(self.modified)
            if limit is not None and int(mtime) <= limit:
                return False
        return True


def tag_matches(header: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of entity tags, or ``*``, names ``etag`` (all of ours are strong).

    A tag without quotes is taken too: some clients strip what they were given.
    """
    if header.strip() == "*":
        return True
    if not etag:
        return False
    for is_weak, quoted, bare in _TAG.findall(header):
        if (quoted or bare) == etag and (weak or not is_weak):
            return True
    return False


def range_still_valid(if_range: str, etag: str, mtime: float) -> bool:
    """Whether ``If-Range`` lets a range be served (RFC 9110, section 13.1.5)."""
    text = if_range.strip()
    if text.startswith(('"', "W/")):
        return bool(etag) and text == f'"{etag}"'
    date = parse_http_date(text)
    return date is not None and date == int(mtime)
