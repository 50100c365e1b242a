"""All settings together, read from what a command fixes, the environment and the file."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from bridge.settings.concerns import (
    Admin,
    Caches,
    Keys,
    Limits,
    Listen,
    Log,
    Metrics,
    State,
    Store,
    Tenant,
    Tls,
)
from bridge.settings.values import Address

ENV_PREFIX = "STORJ_BRIDGE_"


class SettingsError(Exception):
    """The settings cannot be used. ``problems`` says why, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


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
    tenant: Tenant | None = None
    admin: Admin = Admin()
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
            path = getattr(getattr(self, concern), name, None)
            if path is not None:
                setattr(getattr(self, concern), name, self.folder / path.expanduser())
        return self

    @model_validator(mode="after")
    def _tenant_has_a_grant(self) -> Self:
        store = self.store
        missing = store.grant_file is None and store.grant is None
        if self.tenant is not None and store.kind == "storj" and missing:
            raise ValueError(
                "the configured tenant needs an access grant to keep its files on Storj: set "
                "store.grant_file, or STORJ_BRIDGE_STORE__GRANT in the environment"
            )
        return self

    @property
    def declared(self) -> Tenant:
        """The tenant of ``[tenant]``. Raises SettingsError where there is none."""
        if self.tenant is None:
            raise SettingsError(
                ["tenant: missing: say which by --tenant, or declare it by [tenant]"]
            )
        return self.tenant

    @model_validator(mode="after")
    def _passwords_stay_private(self) -> Self:
        for name, address in (
            ("listen.address", self.listen.address),
            ("admin.address", self.admin.address),
        ):
            if address is not None:
                self._require_private(name, address)
        return self

    def _require_private(self, name: str, address: Address) -> None:
        allowed = self.listen.allow_passwords_in_clear_text_over_the_network
        if not (address.is_loopback or self.tls.certificate or allowed):
            raise ValueError(
                f"{name} {address} can be reached from other machines, and "
                "without TLS everyone on the way could read passwords and files: set "
                "tls.certificate and tls.key, or listen on 127.0.0.1 behind a reverse proxy with "
                "TLS, or accept the risk by "
                "listen.allow_passwords_in_clear_text_over_the_network = true"
            )


_PATHS = (
    ("tls", "certificate"),
    ("tls", "key"),
    ("store", "path"),
    ("store", "grant_file"),
    ("state", "path"),
    ("state", "url_file"),
    ("keys", "kek_file"),
    ("tenant", "secret_file"),
)
_SECRETS = (
    ("keys", "kek", "kek_file"),
    ("store", "grant", "grant_file"),
    ("state", "url", "url_file"),
    ("tenant", "secret", "secret_file"),
)


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
    kind, message = problem["type"], problem["msg"]
    if kind == "extra_forbidden":
        known: Mapping[str, object] = Settings.model_fields
        if len(location) > 1:
            table = Settings.model_fields[location[0]].annotation
            models = [
                each for each in (table, *get_args(table)) if isinstance(each, type(BaseModel))
            ]
            known = models[0].model_fields if models else {}
        return f"{where}: unknown key" + _nearest(location[-1], known)
    if kind == "missing":
        return f"{where}: missing"
    message = message.removeprefix("Value error, ")
    where = where.removesuffix(": ")  # what concerns several keys has none
    return f"{where}: {message}" if where else message


def _nearest(word: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(sorted(known))})"
