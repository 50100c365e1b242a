"""Forwarded headers: believed from proxies, never from clients."""

from __future__ import annotations

import pytest

from bridge.http.origin import Origins, PublicURL, plain_host

FORGED = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil.example", "Host": "h"}


def test_a_clients_own_forwarded_headers_are_not_believed() -> None:
    origin = Origins(["10.0.0.0/8"]).of("192.0.2.1", "http", FORGED)
    assert origin.address == "192.0.2.1"
    assert origin.hosts == {"h"}


def test_a_trusted_proxys_are() -> None:
    headers = {
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "cloud.example:443",
        "Host": "inner:8080",
    }
    origin = Origins(["10.0.0.0/8"]).of("10.1.2.3", "http", headers)
    assert origin.address == "192.0.2.7"
    assert origin.scheme == "https"
    assert origin.hosts == {"cloud.example", "inner:8080"}


def test_the_address_is_the_last_that_no_trusted_proxy_added() -> None:
    origins = Origins(["10.0.0.0/8"])
    headers = {"X-Forwarded-For": "6.6.6.6, 192.0.2.7, 10.0.0.2"}
    assert origins.address("10.0.0.1", headers) == "192.0.2.7"
    assert origins.address("10.0.0.1", {"X-Forwarded-For": "nonsense"}) == "10.0.0.1"
    assert origins.address("::ffff:10.0.0.1", headers) == "192.0.2.7"


def test_without_configured_proxies_nobody_is_trusted() -> None:
    assert Origins().address("127.0.0.1", FORGED) == "127.0.0.1"


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("https://Cloud.example/files/dav", PublicURL("https", "cloud.example", ("files", "dav"))),
        ("http://h:80", PublicURL("http", "h", ())),
        ("https://h:8443/", PublicURL("https", "h:8443", ())),
    ],
)
def test_a_public_url_is_read(url: str, parsed: PublicURL) -> None:
    assert PublicURL.parse(url) == parsed


@pytest.mark.parametrize(
    "url", ["ftp://h", "https://", "https://h/a?b", "https://u@h/", "https://h/../a", "h/path"]
)
def test_what_is_no_public_url_is_refused_with_words(url: str) -> None:
    with pytest.raises(ValueError, match="public URL"):
        PublicURL.parse(url)


def test_hosts_are_compared_without_case_user_and_default_port() -> None:
    assert plain_host("User@Host:80", "http") == "host"
    assert plain_host("host:80", "https") == "host:80"
