"""Access grants: read, narrowed, opened.

A grant is a secret: whoever has its text has all it reaches, keys included. It is in no
message, no ``repr`` and no log of this module; ``serialize`` alone gives it out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bridge.store.storj import control
from bridge.store.storj.facts import Facts, Permission, Place
from bridge.store.storj.project import BucketInfo, Project
from bridge.store.storj.refusals import GrantError, NotAGrant, c_text, fail

GRANT_LIMIT = 32_768
"""Longest text taken for a grant. One has about 500 characters, each place it is limited to
adds about 250, and reading takes time with the square of the length."""

LAST_SECOND = 253_402_300_799
"""The end of the year 9999, the last a grant can name (protobuf's ``Timestamp``)."""


class EncryptionKey:
    """A key that is put over a prefix, made from a passphrase (Argon2id; takes 64 MiB)."""

    __slots__ = ("_owned",)

    def __init__(self, passphrase: str, salt: bytes) -> None:
        arguments = (c_text(passphrase, "the passphrase"), salt, len(salt))
        try:
            self._owned = control.Owned("uplink_derive_encryption_key", *arguments)
        except control.Failed as failed:
            fail(failed)


class Access:
    """An access grant, which says ``facts`` of itself. It may be used by many threads."""

    __slots__ = ("_owned", "facts")

    facts: Facts

    def __init__(self, owned: control.Owned) -> None:
        self._owned = owned
        self.facts = Facts.read(control.text("bridge_access_facts", owned.pointer))

    @classmethod
    def parse(cls, text: str) -> Access:
        """The grant in ``text``, white space around it left out. Raises NotAGrant."""
        text = text.strip()
        if not text:
            raise NotAGrant("this is not an access grant: it is empty")
        if len(text) > GRANT_LIMIT:
            raise NotAGrant(f"this is not an access grant: it has {len(text)} characters")
        if not (text.isascii() and text.isalnum()):
            raise NotAGrant(
                "this is not an access grant: it has other characters than letters and digits"
            )
        try:
            return cls(control.Owned("uplink_parse_access", text.encode()))
        except control.Failed as failed:
            # uplink's words stay out: they may quote what was given in a grant's stead.
            if "invalid access grant format" in failed.said:
                reason = "its checksum is wrong, so it is mistyped or not complete"
            elif "node id is required" in failed.said:
                reason = "it names an unknown satellite without that satellite's node id"
            elif "malformed caveat" in failed.said:
                reason = "it has limits that nobody can read"
            else:
                reason = "it has the form of one, but not the content (is it an API key?)"
            raise NotAGrant(
                f"this is not a usable access grant: {reason}", code=failed.code
            ) from None

    def serialize(self) -> str:
        """The grant's text: a secret."""
        try:
            return control.text("uplink_access_serialize", self._owned.pointer)
        except control.Failed as failed:
            fail(failed)

    def share(
        self,
        permission: Permission,
        places: Sequence[Place] | None,
        *,
        not_before: float | None = None,
        not_after: float | None = None,
    ) -> Access:
        """A narrower grant, made without asking anybody: it allows what both allow.

        ``places``: None is wherever this grant reaches; one beyond that is an error. Times are
        in Unix seconds, and are rounded to whole ones that make it narrower.
        """
        if places is not None and not places:
            raise GrantError("a grant for no place at all cannot be made")
        for place in places or ():
            # uplink refuses some of these, and makes of others a grant that reaches nothing.
            if not self.facts.covers(place):
                raise GrantError(f"the access grant does not reach {place}")
        granted = control.PermissionStruct(
            *(permission.download, permission.upload, permission.list, permission.delete),
            not_before=_second(not_before, math.ceil),
            not_after=_second(not_after, math.floor),
        )
        prefixes = [_prefix(place) for place in places or ()]
        array = (control.SharePrefixStruct * len(prefixes))(*prefixes)
        arguments = (self._owned.pointer, granted, array, len(prefixes))
        try:
            return Access(control.Owned("uplink_access_share", *arguments))
        except control.Failed as failed:
            fail(failed)

    def override_encryption_key(self, bucket: str, prefix: str, key: EncryptionKey) -> None:
        """Put ``key`` over ``prefix`` in this grant, which no project may be open with.

        What is written there from now on needs it, and a grant cut from this one afterwards
        has it alone.
        """
        place = _prefix(Place(bucket, prefix))
        arguments = (place.bucket, place.prefix, key._owned.pointer)  # noqa: SLF001
        try:
            control.do("uplink_access_override_encryption_key", self._owned.pointer, *arguments)
        except control.Failed as failed:
            fail(failed)

    def with_key_of(self, other: Access, place: Place) -> Access:
        """This grant with the encryption key that ``other`` has for ``place``, a folder, over it.

        It reads there what was written with ``other``. Raises GrantError where one has no key.
        """
        prefix = _prefix(place)
        arguments = (self._owned.pointer, other._owned.pointer, prefix.bucket, prefix.prefix)
        try:
            return Access(control.Owned("bridge_access_with_key_of", *arguments))
        except control.Failed as failed:
            fail(failed)

    def open(self, user_agent: str) -> Project:
        """The grant's project. Nothing is asked of the satellite yet."""
        return Project(self._owned, self.facts, user_agent)

    def revoke(self, access: Access, user_agent: str) -> None:
        """Make ``access``, cut from this grant, worthless, and all that were cut from it.

        The satellite may take some minutes to notice everywhere.
        """
        with self.open(user_agent) as project:
            project.revoke(access._owned)

    def ensure_bucket(self, name: str, user_agent: str) -> BucketInfo:
        """The bucket, made if there is none, and then credited to ``user_agent``."""
        with self.open(user_agent) as project:
            return project.ensure_bucket(name)


def _second(at: float | None, rounded: Callable[[float], int]) -> int:
    if at is None:
        return 0
    if not 1 <= at <= LAST_SECOND:
        raise GrantError("a grant's time is between the years 1970 and 9999")
    return rounded(at)


def _prefix(place: Place) -> control.SharePrefixStruct:
    if place.prefix is None or (place.prefix and not place.prefix.endswith("/")):
        raise GrantError("a prefix ends with a slash, or is empty for the whole bucket")
    if not place.bucket:
        raise GrantError("a place is in a bucket, and none is named")
    return control.SharePrefixStruct(
        c_text(place.bucket, "the bucket's name"), c_text(place.prefix, "the prefix")
    )
