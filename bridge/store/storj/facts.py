"""What an access grant says of itself, as values and in words for an admin.

Only the satellite knows whether a grant's API key exists, and whether it was revoked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

PERMISSIONS = ("download", "upload", "list", "delete")


@dataclass(frozen=True, slots=True)
class Permission:
    """What a grant allows to do."""

    download: bool = False
    upload: bool = False
    list: bool = False
    delete: bool = False


ALL = Permission(download=True, upload=True, list=True, delete=True)
"""What a store needs that is written to."""

READ = Permission(download=True, list=True)


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket, or a folder in one: ``prefix`` ends with a slash, or is "" for the bucket.

    None is a prefix whose encryption key the grant does not have: it can read nothing there.
    """

    bucket: str
    prefix: str | None = ""

    def __str__(self) -> str:
        if self.prefix is None:
            return f"a folder of bucket {self.bucket} that it has no key for"
        if self.prefix:
            return f"folder {self.prefix} of bucket {self.bucket}"
        return f"bucket {self.bucket}"

    def covers(self, other: Place) -> bool:
        """Whether ``other`` is this place or within it."""
        return (
            self.bucket == other.bucket
            and self.prefix is not None
            and other.prefix is not None
            and other.prefix.startswith(self.prefix)
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """What a grant says of itself; nothing of it is secret.

    Times are Unix seconds, ``max_object_ttl`` is in seconds; None is no limit. ``places`` is
    None for every bucket of the project; an empty one reaches nothing. ``encrypts_keys``: Storj
    sees no object's key anywhere it reaches. ``key_id``: a hash of its API key, in hex; the text of
    a grant differs from time to time.
    """

    satellite_id: str
    satellite_address: str
    permission: Permission
    not_before: float | None
    not_after: float | None
    max_object_ttl: float | None
    places: tuple[Place, ...] | None
    encrypts_keys: bool = True
    key_id: str = field(default="", compare=False)

    @classmethod
    def read(cls, text: str) -> Facts:
        """The facts as the native library gives them (``native/facts.go``)."""
        said = json.loads(text)
        places = said["places"]
        return cls(
            satellite_id=said["satellite_id"],
            satellite_address=said["satellite_address"],
            permission=Permission(**{name: said[name] for name in PERMISSIONS}),
            not_before=said["not_before"],
            not_after=said["not_after"],
            max_object_ttl=said["max_object_ttl"],
            encrypts_keys=said["encrypts_keys"],
            key_id=said["key_id"],
            places=None
            if places is None
            else tuple(Place(place["bucket"], place["prefix"]) for place in places),
        )

    def covers(self, place: Place) -> bool:
        """Whether the grant reaches ``place``, with a key for it."""
        return self.places is None or any(own.covers(place) for own in self.places)

    def expired(self, now: float) -> bool:
        """Whether the grant's time is over at ``now``, in Unix seconds."""
        return self.not_after is not None and now > self.not_after

    def early(self, now: float) -> bool:
        """Whether the grant's time has not begun at ``now``, in Unix seconds."""
        return self.not_before is not None and now < self.not_before

    def validity(self, now: float) -> str:
        """When the grant is good, in words."""
        if self.expired(now):
            return f"expired on {_moment(self.not_after)}"
        if self.early(now):
            return f"not valid before {_moment(self.not_before)}"
        if self.not_after is not None:
            return f"valid until {_moment(self.not_after)}"
        return "does not expire"

    def describe(self, now: float) -> tuple[str, ...]:
        """The grant in sentences, one for each thing an admin wants to know."""
        may = [name for name in PERMISSIONS if getattr(self.permission, name)]
        may_not = [name for name in PERMISSIONS if name not in may]
        lines = [
            f"satellite {self.satellite_address} (node id {self.satellite_id})",
            f"allows {_and(may) or 'nothing'}" + (f", but not {_and(may_not)}" if may_not else ""),
            f"reaches {self._reach()}",
            self.validity(now),
        ]
        if self.max_object_ttl is not None:
            lines.append(f"Storj deletes each object {self.max_object_ttl:.0f} s after its upload")
        return tuple(lines)

    def unfit(self, places: Sequence[Place], now: float) -> str | None:
        """Why a store cannot be kept at ``places`` with this grant; None when it can, so far."""
        if self.expired(now) or self.early(now):
            return f"the access grant is {self.validity(now)}".replace("is expired", "expired")
        for place in places:
            if not self.covers(place):
                return f"the access grant does not reach {place}: it reaches {self._reach()}"
        may_not = [name for name in PERMISSIONS if not getattr(self.permission, name)]
        if may_not:
            return (
                f"the access grant does not allow {_and(may_not)}: a store needs one that allows "
                f"{_and(list(PERMISSIONS))}"
            )
        if self.max_object_ttl is not None:
            return (
                "the access grant has Storj delete each object "
                f"{self.max_object_ttl:.0f} s after its upload"
            )
        return None

    def _reach(self) -> str:
        if self.places is None:
            return "every bucket of its project"
        return (
            _and([str(place) for place in self.places]) or "nothing: its limits exclude each other"
        )


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _moment(seconds: float | None) -> str:
    """Unix seconds in words; a grant may name a year no calendar of Python's has."""
    assert seconds is not None
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s after 1970-01-01 00:00:00 UTC"
