"""Opens the store that the settings name, in its wrappers."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import structlog

from bridge import __version__
from bridge.settings import Settings, Store
from bridge.store.api import ObjectStore, StoreError
from bridge.store.limited import LimitedStore
from bridge.store.local import LocalStore
from bridge.store.logged import LoggedStore
from bridge.store.memory import MemoryStore
from bridge.store.metered import MeteredStore
from bridge.store.retrying import RetryingStore
from bridge.store.storj.access import Access
from bridge.store.storj.accounting import Account
from bridge.store.storj.binding import limit_memory
from bridge.store.storj.facts import Place
from bridge.store.storj.library import LibraryError
from bridge.store.storj.refusals import GrantError
from bridge.store.storj.store import SEGMENT, StorjOptions, StorjStore
from bridge.telemetry.metrics import Metrics
from bridge.tenants.secret_files import SecretFileError, read_secret
from bridge.tenants.vault import keyrings_prefix, vault_prefix

_LATE = 17.0
"""Seconds: the kernel repeats for 15 what it has not got rid of (``native/data_dial.go``)."""

_OTHER_BYTES = 192 << 20
"""Memory of Storj's client for all but uploads; two thirds of it for reading ahead."""


class CannotOpen(Exception):
    """Store, state, keys or vault cannot be used; the message says which, why and what to do."""


def open_store(
    settings: Settings, metrics: Metrics | None = None, *, create: bool = False
) -> ObjectStore:
    """The configured store in its wrappers: each attempt takes its turn, is measured and told.

    ``create``: make its folder or bucket where it is missing; else a disk that is not mounted would
    get an empty store under its mount point. Raises CannotOpen.
    """
    configured = settings.store
    opened = _OPEN[configured.kind](settings, create)
    # Only a service has set up logs; other commands speak for themselves. Failures are warnings.
    if structlog.is_configured() and settings.log.level != "error":
        opened = LoggedStore(opened, calls=settings.log.level == "debug")
    limited: ObjectStore = LimitedStore(
        opened, at_once=configured.calls_at_once, patience=configured.retry_seconds
    )
    if metrics is not None:
        limited = MeteredStore(limited, metrics)
    return RetryingStore(limited, limit=configured.retry_seconds)


def _open_memory(_settings: Settings, _create: bool) -> ObjectStore:
    return MemoryStore()


def _open_local(settings: Settings, create: bool) -> ObjectStore:
    configured = settings.store
    assert configured.path is not None, "settings refuse a local store without a path"
    if not create and not configured.path.is_dir():
        raise CannotOpen(
            f"store: {configured.path} does not exist: make it with storj-bridge init, or "
            "mount its disk"
        )
    try:
        return LocalStore(configured.path)
    except StoreError as error:
        raise CannotOpen(f"store: {configured.path}: {error}") from None


def _open_storj(settings: Settings, create: bool) -> ObjectStore:
    configured = settings.store
    place, _keyrings = places_of(settings)
    user_agent = user_agent_of(configured)
    try:
        text = grant_text(configured)
        access = Access.parse(text)
        unfit = access.facts.unfit(places_of(settings), time.time())
        if unfit is not None:
            raise CannotOpen(f"store: {unfit}")
        if create:
            _make_bucket(access, place.bucket, configured.partner, user_agent)
        limit_memory(
            settings.limits.upload_bytes + _OTHER_BYTES, upload_memory(settings).spare // SEGMENT
        )
        return StorjStore(
            text,
            place.bucket,
            StorjOptions(
                user_agent=user_agent,
                home=vault_prefix(settings.tenant.id),
                segments_at_once=configured.segments_at_once,
                call_seconds=configured.call_seconds,
            ),
        )
    except (LibraryError, GrantError, StoreError) as error:
        raise CannotOpen(f"store: {error}") from None


def _make_bucket(access: Access, name: str, partner: str | None, user_agent: str) -> None:
    """Make the bucket where it is missing, and have Storj credit an empty one to ``partner``."""
    with access.open(user_agent) as project:
        project.ensure_bucket(name)
        if partner:
            project.attribute_bucket(name)


_OPEN = {"memory": _open_memory, "local": _open_local, "storj": _open_storj}


def grant_text(configured: Store) -> str:
    """The access grant as it is written. Raises CannotOpen."""
    if configured.grant is not None:
        return configured.grant.get_secret_value()
    assert configured.grant_file is not None, "settings refuse a storj store without a grant"
    try:
        return read_secret(configured.grant_file)
    except SecretFileError as error:
        raise CannotOpen(f"store: {error}") from None


def places_of(settings: Settings) -> tuple[Place, Place]:
    """Where on Storj the tenant's vault and its keyrings are."""
    bucket, tenant = settings.store.bucket, settings.tenant.id
    assert bucket is not None, "settings refuse a storj store without a bucket"
    return Place(bucket, vault_prefix(tenant)), Place(bucket, keyrings_prefix(tenant))


@dataclass(frozen=True, slots=True)
class OnStorj:
    """What a tenant has on Storj; ``uploads`` are begun and not committed, counted as objects."""

    account: Account
    uploads: int


def account_of(settings: Settings, store: ObjectStore) -> OnStorj | None:
    """What the tenant's vault and keyrings take up, where Storj counts it. Raises CannotOpen.

    Everything is listed: a request for each 1,000 objects.
    """
    if settings.store.kind != "storj":
        return None
    prefixes = [vault_prefix(settings.tenant.id), keyrings_prefix(settings.tenant.id)]
    try:
        listings = (store.list(prefix, recursive=True) for prefix in prefixes)
        account = Account.of(chain.from_iterable(listings))
        return OnStorj(account, sum(len(store.list_multiparts(prefix)) for prefix in prefixes))
    except StoreError as error:
        raise CannotOpen(f"store: {error}") from None


def user_agent_of(configured: Store) -> str:
    """By what name Storj knows this program; the first product is who is credited."""
    ours = f"storj-bridge/{__version__}"
    return f"{configured.partner} {ours}" if configured.partner else ours


def late_seconds(configured: Store) -> float:
    """For how long what a process asked of the store may still take effect after its death."""
    return _LATE if configured.kind == "storj" else 0.0


class UploadMemory(NamedTuple):
    """How ``limits.upload_bytes`` is shared out.

    ``turns``: bytes for which uploads wait; ``each``: how much of its content a long one holds at
    most, and ``beside`` what it holds besides. ``spare``: bytes for what they send faster with,
    while there is room.
    """

    turns: int
    each: int
    beside: int
    spare: int = 0


def upload_memory(settings: Settings) -> UploadMemory:
    """What uploads may hold with the configured store."""
    total = settings.limits.upload_bytes
    if settings.store.kind != "storj":
        return UploadMemory(total, each=0, beside=2 << 20)
    spare = total // 4
    # Of each, one segment is sent while the next one fills.
    return UploadMemory(total - spare, each=2 * SEGMENT, beside=6 << 20, spare=spare)


def free_bytes(settings: Settings) -> int | None:
    """Bytes the store has room for, where that is known."""
    path = settings.store.path
    if settings.store.kind != "local" or path is None:
        return None
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize
