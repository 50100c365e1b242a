"""The project a grant opens: its buckets, and the grants cut from it."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from bridge.store.closing import Closing
from bridge.store.storj import control
from bridge.store.storj.facts import Facts
from bridge.store.storj.refusals import (
    BucketExists,
    BucketNotEmpty,
    BucketNotFound,
    Denied,
    GrantError,
    c_text,
    fail,
)

_DENIED = 0x09

_TRIES = 10
"""How often a bucket that comes and goes is looked for."""


@dataclass(frozen=True, slots=True)
class BucketInfo:
    """A bucket; ``created`` in Unix seconds, 0 where the satellite does not tell."""

    name: str
    created: int


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """What the satellite says of a bucket to who may read in it.

    ``attribution`` is the user agent that Storj credits with the bucket, "" where it is nobody's;
    ``location`` where its data lie, in the satellite's words. A ``plain`` one keeps no versions and
    has no tags, as a new one.
    """

    attribution: str
    location: str
    plain: bool


def product(user_agent: str) -> str:
    """The name of a user agent's first product (RFC 9110, section 10.1.5), whom Storj credits."""
    return user_agent.partition(" ")[0].partition("/")[0]


class Project(Closing):
    """The project of the grant ``access``, which says ``facts`` of itself.

    It may be used by many threads. A call ends after 30 s at the latest, and when another
    thread closes the project.
    """

    __slots__ = ("_facts", "_owned", "_user_agent")

    def __init__(self, access: control.Owned, facts: Facts, user_agent: str) -> None:
        self._facts = facts
        self._user_agent = user_agent
        config = control.ConfigStruct(c_text(user_agent, "the user agent"), 0, None)
        try:
            self._owned = control.Owned("uplink_config_open_project", config, access.pointer)
        except control.Failed as failed:
            fail(failed)

    def close(self) -> None:
        """End what still runs, and close the connections."""
        try:
            control.do("uplink_close_project", self._owned.pointer)
        except control.Failed as failed:
            fail(failed)

    def stat_bucket(self, name: str) -> BucketInfo:
        """The bucket. Raises BucketNotFound."""
        return self._bucket("uplink_stat_bucket", name)

    def create_bucket(self, name: str) -> BucketInfo:
        """A new bucket. Raises BucketExists."""
        return self._bucket("uplink_create_bucket", name)

    def ensure_bucket(self, name: str) -> BucketInfo:
        """The bucket, made if there is none.

        It looks first, since a grant for a folder may look, and not create.
        """
        for _ in range(_TRIES):
            with suppress(BucketNotFound):
                return self.stat_bucket(name)
            # Made by another meanwhile, it may go once more: see attribute_bucket.
            with suppress(BucketExists):
                return self.create_bucket(name)
        return self.stat_bucket(name)

    def bucket_facts(self, name: str) -> BucketFacts:
        """What the satellite says of the bucket. Raises BucketNotFound."""
        arguments = (self._owned.pointer, c_text(name, "the bucket's name"))
        try:
            return BucketFacts(**json.loads(control.text("bridge_bucket_facts", *arguments)))
        except control.Failed as failed:
            self._fail(failed)

    def attribute_bucket(self, name: str) -> None:
        """Have Storj credit the bucket to this project's user agent, if it is empty and plain.

        Storj credits a bucket to who makes it, and to nobody else who fills it later. So another's
        bucket is deleted, which the satellite does only where nothing is in it, no old version and
        no upload either, and made again at its location. One that must stay as it is, or that the
        grant may not delete, is left alone.
        """
        try:
            facts = self.bucket_facts(name)
            if product(facts.attribution) == product(self._user_agent) or not facts.plain:
                return
            self.delete_bucket(name)
        except (Denied, BucketNotEmpty):
            return
        except BucketNotFound:  # another does the same just now
            self.ensure_bucket(name)
            return
        try:
            self._create_again(name, facts.location)
        except BucketExists:
            return
        except GrantError as error:
            raise GrantError(
                f"bucket {name}, which was empty, was deleted to have it credited to "
                f"{product(self._user_agent)}, and could not be made again: make it yourself, or "
                f"choose another name ({error})",
                code=error.code,
            ) from error

    def _create_again(self, name: str, location: str) -> BucketInfo:
        """Make the bucket where it was; a satellite that offers no choice has but one place."""
        try:
            return self._bucket("bridge_create_bucket_at", name, c_text(location, "the location"))
        except BucketExists:
            raise
        except GrantError:
            return self.create_bucket(name)

    def delete_bucket(self, name: str) -> BucketInfo:
        """Delete an empty bucket. Raises BucketNotFound, BucketNotEmpty."""
        return self._bucket("uplink_delete_bucket", name)

    def delete_bucket_with_objects(self, name: str) -> BucketInfo:
        """Delete a bucket and what is in it; takes up to ten minutes. Raises BucketNotFound."""
        return self._bucket("uplink_delete_bucket_with_objects", name)

    def list_buckets(self) -> list[BucketInfo]:
        """The buckets the grant may see, by name."""
        try:
            return [BucketInfo(*bucket) for bucket in control.buckets(self._owned)]
        except control.Failed as failed:
            self._fail(failed)

    def revoke(self, access: control.Owned) -> None:
        """See ``Access.revoke``."""
        try:
            control.do("uplink_revoke_access", self._owned.pointer, access.pointer)
        except control.Failed as failed:
            self._fail(failed)

    def _bucket(self, function: str, name: str, *more: bytes) -> BucketInfo:
        try:
            arguments = (self._owned.pointer, c_text(name, "the bucket's name"), *more)
            return BucketInfo(*control.bucket(function, *arguments))
        except control.Failed as failed:
            self._fail(failed)

    def _fail(self, failed: control.Failed) -> NoReturn:
        """The satellite refuses a grant without a reason; the grant itself may know it."""
        now = time.time()
        if failed.code == _DENIED and self._facts.expired(now):
            fail(failed, because=f"the access grant has {self._facts.validity(now)}")
        if failed.code == _DENIED and self._facts.early(now):
            fail(failed, because=f"the access grant is {self._facts.validity(now)}")
        fail(failed)
