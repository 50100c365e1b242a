"""The tables of the configuration, one model for each concern."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)

from bridge.settings.values import (
    Address,
    BucketName,
    ListenAddress,
    Networks,
    PublicUrl,
    RootPath,
    TenantId,
    UserAgent,
)


class Concern(BaseModel):
    """One table of the configuration."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Listen(Concern):
    """Where clients come in."""

    address: ListenAddress = Address("127.0.0.1", 8080)
    public_url: PublicUrl | None = None
    """What clients put before ``webdav_path`` when a reverse proxy stands in between."""
    webdav_path: RootPath = "/dav/"
    trusted_proxies: Networks = []
    """Whose ``X-Forwarded-*`` headers are believed."""
    allow_passwords_in_clear_text_over_the_network: bool = False
    """Listen beyond loopback without TLS: anyone on the way can read passwords and files."""

    @property
    def prefix(self) -> str:
        """The path of ``public_url``, without a trailing slash; ``""`` for none."""
        return urlsplit(self.public_url).path.rstrip("/") if self.public_url else ""

    @model_validator(mode="after")
    def _prefix_can_be_told_from_root(self) -> Self:
        if f"{self.prefix}/".startswith(self.webdav_path):
            raise ValueError(
                f"public_url's path {self.prefix} begins with webdav_path {self.webdav_path}: "
                "behind a proxy nobody could tell whether it was stripped; choose another "
                "webdav_path"
            )
        return self


class Tls(Concern):
    """The bridge's own TLS; both files are read again when they change."""

    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("TLS needs both certificate and key")
        return self


class Limits(Concern):
    """What one client, and all of them together, may take."""

    connections: PositiveInt = 1_000
    """Connections open at once; one more is told 503."""
    header_bytes: PositiveInt = 16_384
    """Longest request line, and longest header field, in bytes."""
    headers: PositiveInt = 100
    """Most header fields of one request."""
    body_bytes: PositiveInt = 1 << 20
    """Longest request body of every verb but PUT."""
    upload_bytes: Annotated[int, Field(ge=16 << 20)] = 1 << 30
    """Memory that all uploads together may hold, in bytes; one more waits for its turn."""
    threads: PositiveInt = 32
    """Threads for short work on files, and as many for the blocks of large ones."""
    long_threads: PositiveInt = 8
    """Threads for copies, and for PROPFIND of whole trees."""
    one_core: bool = True
    """Whether what is short stays on one processor, the least busy one (Linux)."""
    queue: PositiveInt = 2_000
    """Requests that may wait for a thread."""
    queue_seconds: PositiveFloat = 20.0
    """Longest wait for a thread, or for an upload's turn, before 503."""
    idle_seconds: PositiveFloat = 60.0
    """Longest silence of a client in the middle of a request or answer."""
    minimum_bytes_per_second: PositiveInt = 1_024
    """Slowest body or answer that is borne, over ``idle_seconds``."""
    keepalive_seconds: PositiveFloat = 75.0
    """How long a connection may go without bringing a whole request header."""
    stop_seconds: PositiveFloat = 30.0
    """How long requests may go on after the bridge was told to stop."""


class Store(Concern):
    """Where ciphertext is kept."""

    kind: Literal["local", "memory", "storj"] = "local"
    path: Path | None = None
    """The folder of ``local``."""
    bucket: BucketName | None = None
    """The bucket of ``storj``, for tenants that are given no other."""
    grant_file: Path | None = None
    """The file of the configured tenant's access grant to it; others have their own."""
    grant: SecretStr | None = None
    """That access grant itself, by the environment only."""
    partner: UserAgent | None = None
    """To whom Storj attributes what is stored."""
    segments_at_once: Annotated[int, Field(ge=1, le=10)] = 5
    """64 MiB segments of one upload that are sent at the same time, while there is memory."""
    call_seconds: PositiveFloat = 60.0
    """How long one call to Storj may last, and a transfer stand still."""
    calls_at_once: PositiveInt = 64
    retry_seconds: PositiveFloat = 20.0
    """How long a call that fails for a passing reason is tried again."""

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind == "local" and self.path is None:
            raise ValueError("the local store needs a path")
        if self.kind == "storj" and self.bucket is None:
            raise ValueError("the storj store needs a bucket")
        return self


class State(Concern):
    """The state database: an SQLite file, or PostgreSQL for several machines."""

    path: Path | None = None
    """The file of SQLite."""
    url_file: Path | None = None
    """The file of PostgreSQL's URL, which may hold a password."""
    url: SecretStr | None = None
    """The URL itself, by the environment only."""

    @model_validator(mode="after")
    def _is_one_database(self) -> Self:
        if [self.path, self.url_file, self.url].count(None) != 2:
            raise ValueError(
                "the state is in one database: set either path, a file of SQLite, or PostgreSQL's "
                "URL by url_file or STORJ_BRIDGE_STATE__URL in the environment"
            )
        return self


class Keys(Concern):
    """The key that seals keyrings."""

    kek_file: Path | None = None
    kek: SecretStr | None = None
    """The key itself, by the environment only."""


class Tenant(Concern):
    """A tenant that is declared here; others are made by command."""

    id: TenantId = "main"
    secret_file: Path | None = None
    secret: SecretStr | None = None
    """The secret itself, by the environment only."""


class Admin(Concern):
    """Where operators' programs manage tenants."""

    address: ListenAddress | None = None


class Caches(Concern):
    """Bounds of what is remembered; nothing depends on it but speed."""

    names: PositiveInt = 100_000
    """Names of files and folders kept in memory, all folders together."""


class Metrics(Concern):
    """Where Prometheus reads; see ``docs/configuration.md`` for the main listener's part."""

    address: ListenAddress | None = None


class Log(Concern):
    """What is logged and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
