"""Settings: one model for each concern, from a TOML file and the environment.

A variable of the environment is named after its key: ``STORJ_BRIDGE_LISTEN__ADDRESS`` is
``address`` in ``[listen]``, and it wins over the file. A key nobody knows is an error, since a
misspelt limit or path would otherwise be a silent default. Secrets come from files or the
environment, never from the TOML file, and never show in a repr or a message.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

ENV_PREFIX = "STORJ_BRIDGE_"


class SettingsError(Exception):
    """The settings cannot be used. ``problems`` says why, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Address(NamedTuple):
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``HOST:PORT`` or ``[IPV6]:PORT``. Raises ValueError."""
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdigit():
            raise ValueError(f"{text!r} is not HOST:PORT (for IPv6, [ADDRESS]:PORT)")
        if int(port) > 65_535:
            raise ValueError(f"{port} is not a port: the highest is 65535")
        bracketed = host.startswith("[") and host.endswith("]")
        if ":" in host and not bracketed:
            raise ValueError(f"{text!r}: an IPv6 address stands in brackets, [{host}]:{port}")
        return cls(host[1:-1] if bracketed else host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(value: object) -> object:
    return Address.parse(value) if isinstance(value, str) else value


def _public_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a public URL begins with http:// or https:// and names a host")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ValueError("a public URL has no query, fragment, user or password")
    return url.rstrip("/")


def _root(path: str) -> str:
    if not path.startswith("/") or "//" in path or "%" in path or "?" in path or "#" in path:
        raise ValueError("a URL path begins with / and has plain components")
    return path if path.endswith("/") else path + "/"


def _commas(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


# A variable of the environment is text as people write it, never JSON.
ListenAddress = Annotated[Address, NoDecode, BeforeValidator(_address)]
Networks = Annotated[list[IPvAnyNetwork], NoDecode, BeforeValidator(_commas)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
RootPath = Annotated[str, AfterValidator(_root)]
TenantId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


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
        if self.prefix and self.webdav_path.startswith(self.prefix + "/"):
            raise ValueError(
                f"webdav_path {self.webdav_path} begins with public_url's own path "
                f"{self.prefix}: behind a proxy nobody could tell whether it has stripped it; "
                "choose another webdav_path"
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
    uploads: PositiveInt = 64
    """PUTs that may stream at once."""
    threads: PositiveInt = 32
    """Threads for short work on files."""
    long_threads: PositiveInt = 8
    """Threads for folders that are copied, moved and deleted."""
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

    kind: Literal["local", "memory"] = "local"
    path: Path | None = None
    calls_at_once: PositiveInt = 64
    retry_seconds: PositiveFloat = 20.0
    """How long a call that fails for a passing reason is tried again."""

    @model_validator(mode="after")
    def _local_has_path(self) -> Self:
        if self.kind == "local" and self.path is None:
            raise ValueError("the local store needs a path")
        return self


class State(Concern):
    """Locks, leases and generations: an SQLite file."""

    path: Path


class Keys(Concern):
    """The key that seals keyrings."""

    kek_file: Path | None = None
    kek: SecretStr | None = None
    """The key itself, by the environment only."""


class Tenant(Concern):
    """The one tenant of this release."""

    id: TenantId = "main"
    username: str = Field(
        default="bridge", min_length=1, max_length=128, pattern=r"^[^:\x00-\x1f]+$"
    )
    secret_file: Path | None = None
    secret: SecretStr | None = None
    """The secret itself, by the environment only."""


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


class Settings(BaseSettings):
    """All settings, checked against each other."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        hide_input_in_errors=True,
        nested_model_default_partial_update=True,
    )
    folder: ClassVar[Path] = Path()
    """What relative paths are relative to: the configuration file's folder."""

    listen: Listen = Listen()
    tls: Tls = Tls()
    limits: Limits = Limits()
    store: Store
    state: State
    keys: Keys = Keys()
    tenant: Tenant = Tenant()
    caches: Caches = Caches()
    metrics: Metrics = Metrics()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What a command fixes, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @model_validator(mode="after")
    def _paths_are_absolute(self) -> Self:
        for concern, name in _PATHS:
            path = getattr(getattr(self, concern), name)
            if path is not None:
                setattr(getattr(self, concern), name, self.folder / path.expanduser())
        return self

    @model_validator(mode="after")
    def _passwords_stay_private(self) -> Self:
        listen = self.listen
        allowed = listen.allow_passwords_in_clear_text_over_the_network
        if not (listen.address.is_loopback or self.tls.certificate or allowed):
            raise ValueError(
                f"listen.address {listen.address} can be reached from other machines, and "
                "without TLS everyone on the way could read passwords and files: set "
                "tls.certificate and tls.key, or listen on 127.0.0.1 behind a reverse proxy with "
                "TLS, or accept the risk by "
                "listen.allow_passwords_in_clear_text_over_the_network = true"
            )
        return self


_PATHS = (
    ("tls", "certificate"),
    ("tls", "key"),
    ("store", "path"),
    ("state", "path"),
    ("keys", "kek_file"),
    ("tenant", "secret_file"),
)
_SECRETS = (("keys", "kek", "kek_file"), ("tenant", "secret", "secret_file"))


def load(file: Path | None, fixed: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings: ``fixed`` by the command, then the environment, then ``file``.

    Raises SettingsError with every problem found, each in words.
    """
    if file is not None:
        _check_file(file)
    _check_environment()

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)
        folder = file.resolve().parent if file is not None else Path.cwd()

    try:
        return FromFile(**(fixed or {}))
    except ValidationError as error:
        raise SettingsError([_in_words(problem, file) for problem in error.errors()]) from None
    except SourceError as error:
        raise SettingsError([f"environment: {error}"]) from None


def _check_file(file: Path) -> None:
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SettingsError([f"{file}: cannot be read: {error.strerror}"]) from None
    except ValueError as error:  # bad TOML, bad UTF-8
        raise SettingsError([f"{file}: not valid TOML: {error}"]) from None
    for concern, name, instead in _SECRETS:
        table = content.get(concern)
        if isinstance(table, dict) and name in table:
            variable = f"{ENV_PREFIX}{concern}__{name}".upper()
            problem = (
                f"{file}: {concern}.{name}: a secret does not stand in this file: name a file "
                f"that holds it by {concern}.{instead}, or set {variable}"
            )
            raise SettingsError([problem])


def _check_environment() -> None:
    # Kubernetes sets STORJ_BRIDGE_PORT and the like for a service of that name: only what has
    # the delimiter of a nested key is meant for us.
    problems = []
    for variable in sorted(os.environ):
        name = variable.upper()
        if name.startswith(ENV_PREFIX) and "__" in name:
            concern = name.removeprefix(ENV_PREFIX).split("__")[0].lower()
            if concern not in Settings.model_fields:
                problems.append(
                    f"environment: {variable}: unknown table [{concern}]"
                    + _nearest(concern, Settings.model_fields)
                )
    if problems:
        raise SettingsError(problems)


def _in_words(problem: Any, file: Path | None) -> str:
    """One of pydantic's errors as a sentence that names the key and where it came from."""
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    variable = ENV_PREFIX + "__".join(location[:2]).upper()
    present = {name.upper() for name in os.environ}
    if location and variable in present:
        where = f"environment: {variable}"
    else:
        where = f"{file}: {key}" if file is not None else key
    where = where.removesuffix(": ")
    kind, message = problem["type"], problem["msg"]
    if kind == "extra_forbidden":
        known: Mapping[str, object] = Settings.model_fields
        if len(location) > 1:
            table = Settings.model_fields[location[0]].annotation
            known = table.model_fields if isinstance(table, type(BaseModel)) else {}
        return f"{where}: unknown key" + _nearest(location[-1], known)
    if kind == "missing":
        return f"{where}: missing"
    return f"{where}: {message.removeprefix('Value error, ')}"


def _nearest(word: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(sorted(known))})"
