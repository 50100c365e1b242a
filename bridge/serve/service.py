"""The whole service: services, door, health and background work, from start to end."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import structlog

from bridge import __version__
from bridge.admin import ROOT, AdminDoor, Meaning
from bridge.app import Services, database_url, kek_text, secret_of
from bridge.crypto.errors import CryptoError
from bridge.files.errors import FileError
from bridge.http.limits import Limits
from bridge.http.pool import Workers
from bridge.http.server import Server
from bridge.http.turns import Turns
from bridge.serve.access import AccessLog, Front
from bridge.serve.background import Background
from bridge.serve.core import Core, usable
from bridge.serve.health import Health
from bridge.serve.memory import limit_arenas
from bridge.serve.process import Requests, Serving, bind, close_all, run, serve
from bridge.serve.tls import Certificates
from bridge.settings import Settings
from bridge.storage import lost_words
from bridge.store.api import StoreError
from bridge.store.storj.refusals import GrantError
from bridge.stores import CannotOpen, free_bytes, grant_text, upload_memory
from bridge.telemetry.drain import Drain
from bridge.telemetry.logs import configure_logs
from bridge.telemetry.metrics import Metrics
from bridge.tenants.api import Administration, Credential
from bridge.tenants.configured import NewVault
from bridge.tenants.credential_rows import CredentialRows
from bridge.tenants.keks import new_kek
from bridge.tenants.opened import OpenTenants
from bridge.tenants.sign_in import SignIn
from bridge.tenants.standing import Standing
from bridge.tenants.vault import VaultError
from bridge.webdav import Quota, WebDAVDoor

_log = structlog.get_logger()

BACKGROUND_SECONDS = 5.0
"""Longest wait for a background thread at the end."""

QUOTA_SECONDS = 1.0
"""How long an answer about free space is good for, while there is plenty."""

MEANINGS = {
    GrantError: Meaning(422),
    CannotOpen: Meaning(409),
    VaultError: Meaning(409),
    CryptoError: Meaning(409),
    FileError: Meaning(503),
    StoreError: Meaning(503, "the store does not answer; try again"),
}
"""What the admin API makes of errors of layers that it does not know."""

PLENTY = 16 << 30
"""Bytes free from which an answer may be a little old: a disk that fills up says so itself."""


@dataclass(frozen=True, slots=True)
class Started:
    """What whoever started the service is told, once it accepts requests."""

    webdav_url: str
    pid: int
    made: NewVault | None
    """The vault, if it was made just now."""
    admin_url: str | None
    """The root of the admin API, where it is served."""


def run_service(
    settings: Settings,
    started: Callable[[Started], None],
    *,
    create: bool = False,
    prepare: Callable[[Administration], None] = lambda _administration: None,
) -> None:
    """Serve until told to stop. ``create``: make the vault where there is none.

    ``prepare`` is called once all is open, before requests are accepted. Raises CannotListen,
    CannotOpen, TlsError.
    """
    limit_arenas()
    log = settings.log
    new_key = new_kek() if create else None
    secrets = _secrets(settings, new_key)
    with closing(Drain(sys.stderr.fileno())) as drain:
        configure_logs(log.level, log.format, secrets=secrets, stream=drain)
        with ExitStack() as opened:
            _run(settings, started, opened, new_key, prepare)
        _log.info("stopped")


def _secrets(settings: Settings, new_key: str | None) -> list[str]:
    """What is in the configuration and must be in no log. Raises CannotOpen."""
    secrets = _keys(settings, new_key).split()
    if settings.tenant is not None:
        secrets.append(secret_of(settings))
        if settings.store.kind == "storj":
            secrets.append(grant_text(settings.store))
    url = database_url(settings)
    password = None if url is None else urlsplit(url).password
    if password:
        secrets += [password, unquote(password)]
    return secrets


def _keys(settings: Settings, new_key: str | None) -> str:
    """The operator's keys, or the one that is about to be written. Raises CannotOpen."""
    file = settings.keys.kek_file
    missing = settings.keys.kek is None and file is not None and not file.exists()
    return new_key if new_key is not None and missing else kek_text(settings)


def _run(
    settings: Settings,
    started: Callable[[Started], None],
    opened: ExitStack,
    new_key: str | None,
    prepare: Callable[[Administration], None],
) -> None:
    """Open everything, the address first, so that a port in use is told before anything is made."""
    certificates = _certificates(settings)
    sockets = bind(settings.listen.address)
    opened.callback(close_all, sockets)
    figures: Sequence[socket.socket] = ()
    if settings.metrics.address is not None:
        figures = bind(settings.metrics.address)
        opened.callback(close_all, figures)
    admin: Sequence[socket.socket] = ()
    if settings.admin.address is not None:
        admin = bind(settings.admin.address)
        opened.callback(close_all, admin)
    metrics = Metrics(__version__)
    services = opened.enter_context(Services.open(settings, metrics, new_key=new_key))
    services.watch(metrics)
    prepare(services.administration)
    _tell_lost(services)
    background = Background(services)
    background.start()
    opened.callback(background.stop, BACKGROUND_SECONDS)
    _log.info("starting", version=__version__, store=settings.store.kind)
    run(_serve(settings, services, metrics, certificates, sockets, figures, admin, started))


def _tell_lost(services: Services) -> None:
    """Warn where the database was lost with its tenants: their clients would only see 401."""
    try:
        unknown = services.unknown()
    except CannotOpen as error:  # whoever manages tenants may do so while their store is away
        _log.warning("the store's tenants cannot be listed", reason=str(error))
        return
    if unknown:
        _log.warning(lost_words(unknown))


async def _serve(
    settings: Settings,
    services: Services,
    metrics: Metrics,
    certificates: Certificates | None,
    sockets: Sequence[socket.socket],
    figures: Sequence[socket.socket],
    admin: Sequence[socket.socket],
    started: Callable[[Started], None],
) -> None:
    limits = settings.limits
    listen = settings.listen
    within = door_limits(settings)
    core = Core(usable() if limits.one_core else ())
    core.hold()
    core.start()
    workers = Workers.within(within, begin_quick=core.hold, begin_other=core.free)
    memory = upload_memory(settings)
    turns = Turns(memory.turns, memory.each, memory.beside, limits.queue_seconds)
    tenants = services.tenants
    front = Front(metrics, door="webdav")
    door = WebDAVDoor(
        authenticator=SignIn(services.administration.records),
        tree_for=tenants.tree,
        locks_for=tenants.locks,
        quota_for=_quota(settings, tenants),
        rights_for=lambda credential: credential.rights,
        still_for=_still(services.administration.records.credentials),
        tenant_for=lambda credential: credential.tenant.id,
        workers=workers,
        turns=turns,
        limits=within,
        path=listen.webdav_path,
        public_url=listen.public_url,
        proxies=map(str, listen.trusted_proxies),
        served=AccessLog(metrics, door="webdav", asked=tenants.requested).served,
    )
    administration = AdminDoor(
        services.administration,
        workers=workers,
        limits=within,
        meanings=MEANINGS,
        proxies=map(str, listen.trusted_proxies),
        served=AccessLog(metrics, door="admin").served,
    )

    def forget() -> None:
        """Whoever was let in is asked about again: something was taken away."""
        door.gate.forget()
        administration.gate.forget()

    services.administration.changed = forget
    metrics.watch("uploads", "PUTs under way.", lambda: turns.uploads)
    metrics.watch("upload_bytes", "Memory kept for PUTs under way.", lambda: turns.lent)
    metrics.watch("worker_calls", "Calls that run or wait in threads.", lambda: workers.outstanding)
    health = Health(
        services.checks(),
        metrics,
        # A proxy on this machine could look like a local program, so it gets no figures.
        metrics_to_local=listen.public_url is None and not listen.trusted_proxies,
    )
    requests = Requests(health, front.around(door.handle))
    metrics.watch("requests_running", "Requests under way.", lambda: requests.running)

    def ready() -> None:
        started(
            Started(
                _url(settings, sockets, door.root),
                os.getpid(),
                services.made,
                _admin_url(settings, admin) if admin else None,
            )
        )

    try:
        await serve(
            Serving(
                Server(requests.handle, within),
                requests,
                sockets,
                health,
                limits.stop_seconds,
                certificates,
                figures,
                Server(administration.handle, within),
                admin,
                ready,
                lambda: workers.outstanding,
            )
        )
    finally:
        workers.close()
        core.close()


def door_limits(settings: Settings) -> Limits:
    """The limits as the HTTP layer takes them."""
    limits = settings.limits
    return Limits(
        connections=limits.connections,
        header_line=limits.header_bytes,
        headers=limits.headers,
        idle=limits.idle_seconds,
        rate=limits.minimum_bytes_per_second,
        keepalive=limits.keepalive_seconds,
        small_body=limits.body_bytes,
        threads=limits.threads,
        long_threads=limits.long_threads,
        queue=limits.queue,
        wait=limits.queue_seconds,
    )


def _certificates(settings: Settings) -> Certificates | None:
    tls = settings.tls
    if tls.certificate is None or tls.key is None:
        return None
    return Certificates(tls.certificate, tls.key)


def _quota(settings: Settings, tenants: OpenTenants) -> Callable[[Credential], Quota]:
    """What a tenant uses, and what is free: by its quota, and on the disk.

    Every PUT wants to know: while there is plenty, the disk is asked seldom.
    """
    asked, free = -QUOTA_SECONDS, free_bytes(settings)

    def on_disk() -> int | None:
        nonlocal asked, free
        now = time.monotonic()
        if free is not None and (free < PLENTY or now - asked >= QUOTA_SECONDS):
            asked, free = now, free_bytes(settings)
        return free

    def quota_for(credential: Credential) -> Quota:
        usage = tenants.usage(credential)
        room = [each for each in (usage.available, on_disk()) if each is not None]
        # What others of its tenant hold is nothing to whoever sees one folder.
        used = usage.used.bytes if credential.root == "/" else None
        return Quota(used, min(room, default=None))

    return quota_for


def _still(rows: CredentialRows) -> Callable[[Credential], Callable[[], None]]:
    """What asks now and then whether a credential still stands."""
    return lambda credential: Standing(rows, credential).require_now_and_then


def _admin_url(settings: Settings, sockets: Sequence[socket.socket]) -> str:
    assert settings.admin.address is not None
    scheme = "http" if settings.tls.certificate is None else "https"
    port = sockets[0].getsockname()[1]
    return f"{scheme}://{settings.admin.address._replace(port=port)}{ROOT}"


def _url(settings: Settings, sockets: Sequence[socket.socket], root: str) -> str:
    """The WebDAV root as clients reach it; ``root`` has the public URL's path already."""
    public = settings.listen.public_url
    if public is not None:
        prefix = settings.listen.prefix
        return public.removesuffix(prefix) + root
    scheme = "http" if settings.tls.certificate is None else "https"
    address = settings.listen.address
    host = socket.gethostname() if address.host in {"0.0.0.0", "::"} else address.host  # noqa: S104
    port = sockets[0].getsockname()[1]
    return f"{scheme}://{address._replace(host=host, port=port)}{root}"
