"""What single values may be: addresses, URLs, networks, ids. Each bad one is told in words."""

from __future__ import annotations

import ipaddress
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyNetwork
from pydantic_settings import NoDecode

from bridge import names


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
    if path == "/":
        raise ValueError("the files need a path of their own: /healthz and others lie beside it")
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
TenantId = Annotated[str, Field(pattern=names.TENANT)]
BucketName = Annotated[str, Field(pattern=names.BUCKET)]
UserAgent = Annotated[str, Field(max_length=names.LONGEST_PRODUCT, pattern=names.PRODUCT)]
