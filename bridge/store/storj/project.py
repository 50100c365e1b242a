"""The project a grant opens: its buckets, and the grants cut from it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NoReturn

from bridge.store.closing import Closing
from bridge.store.storj import control
from bridge.store.storj.facts import Facts
from bridge.store.storj.refusals import BucketExists, BucketNotFound, c_text, fail

_DENIED = 0x09


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket; ``created`` in Unix seconds, 0 where the satellite does not tell."""

    name: str
    created: int


class Project(Closing):
    """The project of the grant ``access``, which says ``facts`` of itself.

    It may be used by many threads. A call ends after 30 s at the latest, and when another
    thread closes the project.
    """

    __slots__ = ("_facts", "_owned")

    def __init__(self, access: control.Owned, facts: Facts, user_agent: str) -> None:
        self._facts = facts
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

    def stat_bucket(self, name: str) -> Bucket:
        """The bucket. Raises BucketNotFound."""
        return self._bucket("uplink_stat_bucket", name)

    def create_bucket(self, name: str) -> Bucket:
        """A new bucket. Raises BucketExists."""
        return self._bucket("uplink_create_bucket", name)

    def ensure_bucket(self, name: str) -> Bucket:
        """The bucket, made if there is none.

        It looks first, since a grant for a folder may look, and not create.
        """
        try:
            return self.stat_bucket(name)
        except BucketNotFound:
            pass
        try:
            return self.create_bucket(name)
        except BucketExists:  # made by another meanwhile
            return self.stat_bucket(name)

    def delete_bucket(self, name: str) -> Bucket:
        """Delete an empty bucket. Raises BucketNotFound, BucketNotEmpty."""
        return self._bucket("uplink_delete_bucket", name)

    def delete_bucket_with_objects(self, name: str) -> Bucket:
        """Delete a bucket and what is in it; takes up to ten minutes. Raises BucketNotFound."""
        return self._bucket("uplink_delete_bucket_with_objects", name)

    def list_buckets(self) -> list[Bucket]:
        """The buckets the grant may see, by name."""
        try:
            return [Bucket(*bucket) for bucket in control.buckets(self._owned)]
        except control.Failed as failed:
            self._fail(failed)

    def revoke(self, access: control.Owned) -> None:
        """See ``Access.revoke``."""
        try:
            control.do("uplink_revoke_access", self._owned.pointer, access.pointer)
        except control.Failed as failed:
            self._fail(failed)

    def _bucket(self, function: str, name: str) -> Bucket:
        try:
            arguments = (self._owned.pointer, c_text(name, "the bucket's name"))
            return Bucket(*control.bucket(function, *arguments))
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
