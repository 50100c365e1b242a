"""Who really asks, and by which name they know this server: forwarded headers and public URL.

``X-Forwarded-*`` are believed only when the connection comes from a configured proxy; from
anybody else they are what an attacker would send.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class PublicURL:
    """Where clients reach the server: scheme, host with port, and names before its own path."""

    scheme: str
    host: str
    names: tuple[str, ...]

    @classmethod
    def parse(cls, url: str) -> PublicURL:
        """From settings; raises ValueError with what is wrong."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(
                f"the public URL {url!r} must begin with http:// or https:// and a host"
            )
        if parts.query or parts.fragment or parts.username or "%" in parts.path:
            raise ValueError(f"the public URL {url!r} may have a host and a plain path only")
        names = tuple(name for name in parts.path.split("/") if name)
        if any(name in (".", "..") for name in names):
            raise ValueError(f"the public URL {url!r} has dots for a path")
        return cls(parts.scheme, plain_host(parts.netloc, parts.scheme), names)


@dataclass(frozen=True, slots=True)
class Origin:
    """The client's address, and every host by which it may name this server in a header."""

    address: str
    scheme: str
    hosts: frozenset[str]


class Origins:
    """Tells the Origin of a request, given the proxies that are trusted."""

    def __init__(self, proxies: Iterable[str] = (), public: PublicURL | None = None) -> None:
        self._networks: list[Network] = [ipaddress.ip_network(p, strict=False) for p in proxies]
        self._trusted: dict[str, bool] = {}
        self._public = frozenset({public.host}) if public else frozenset()

    def trusts(self, address: str) -> bool:
        """Whether a connection from ``address`` is a configured proxy's."""
        if not self._networks:
            return False
        known = self._trusted.get(address)
        if known is None:
            try:
                ip = ipaddress.ip_address(address.partition("%")[0])
            except ValueError:
                ip = None
            if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
                ip = ip.ipv4_mapped
            known = ip is not None and any(ip in network for network in self._networks)
            if len(self._trusted) > 10_000:
                self._trusted.clear()
            self._trusted[address] = known
        return known

    def address(self, peer: str, headers: Mapping[str, str]) -> str:
        """The client's address: the last one in ``X-Forwarded-For`` that is no trusted proxy."""
        if not self.trusts(peer):
            return peer
        client = peer
        for hop in reversed(headers.get("X-Forwarded-For", "").split(",")):
            candidate = hop.strip()
            if not candidate:
                continue
            try:
                ipaddress.ip_address(candidate)
            except ValueError:
                break
            client = candidate
            if not self.trusts(candidate):
                break
        return client

    def of(self, peer: str, scheme: str, headers: Mapping[str, str]) -> Origin:
        """All of it; only requests that name a URL in a header need this."""
        hosts = set(self._public)
        trusted = self.trusts(peer)
        if trusted:
            forwarded = headers.get("X-Forwarded-Proto", "").strip().lower()
            scheme = forwarded if forwarded in _PORTS else scheme
        for header in ("Host", "X-Forwarded-Host") if trusted else ("Host",):
            for host in headers.get(header, "").split(","):
                if host.strip():
                    hosts.add(plain_host(host.strip(), scheme))
        return Origin(self.address(peer, headers), scheme, frozenset(hosts))


def plain_host(netloc: str, scheme: str) -> str:
    """``netloc`` in lower case, without user and without the scheme's own port."""
    host = netloc.rpartition("@")[2].lower()
    return host.removesuffix(":" + _PORTS.get(scheme, "0"))
