"""What a tenant's token, a stranger and a broken client get from the admin API: nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bridge.admin import places
from bridge.admin.reading import BODY
from bridge.admin.routes import ROUTES
from tests.admin.server import ROOT, Running, running
from tests.admin.watched import Watched
from tests.webdav.client import Reply

OWN, OTHER, MISSING = "acme", "other", "nobody"

BODIES: dict[str, object] = {
    "createTenant": {"id": "new"},
    "setQuota": {"quota": 1},
    "replaceGrant": {"root_grant": "grant-root"},
    "createCredential": {"label": "new"},
    "createToken": {"label": "new"},
}
"""One that is well-formed for each route that takes one."""

WITH_TENANT = [route for route in ROUTES if "{tenant}" in route.path]
OPERATORS = [route for route in ROUTES if not route.bound]


@pytest.fixture
def server(watched: Watched) -> Iterator[Running]:
    for tenant in (OWN, OTHER):
        watched.create_tenant(tenant)
        watched.create_credential(tenant)
        watched.create_credential(tenant, "laptop")
    with running(watched) as server:
        yield server


def path_of(path: str, tenant: str, credential: str = "", token: str = "") -> str:
    return (
        path.replace("{tenant}", tenant)
        .replace("{credential}", credential or tenant)
        .replace("{token}", token)
    )


def told(reply: Reply) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer but what differs between any two."""
    own = {"date", "x-request-id"}
    return reply.status, [h for h in reply.headers if h[0].lower() not in own], reply.body


def state(server: Running) -> object:
    """All that requests could change."""
    ask = server.administration
    tenants = ask.tenants()
    credentials = [ask.credentials(tenant.id) for tenant in tenants]
    return tenants, credentials, ask.tokens()


@pytest.mark.parametrize("route", WITH_TENANT, ids=lambda route: route.name)
def test_another_tenant_looks_to_a_bound_token_just_like_a_missing_one(
    server: Running, route: object
) -> None:
    assert isinstance(route, type(ROUTES[0]))
    bound = server.bound(OWN)
    before = state(server)
    for method in (route.method, "PATCH", "HEAD", "OPTIONS"):
        bound("GET", f"/tenants/{OWN}/credentials")  # signed in
        server.watched.calls.clear()
        for suffix, body in (("", BODIES.get(route.name)), ("", {"wrong": 1}), ("?x=1", None)):
            answers = {
                repr(told(bound(method, path_of(route.path, tenant, name) + suffix, body)))
                for tenant in (OTHER, MISSING, OTHER.upper(), "%00", "..", "a" * 64, "%FF")
                for name in (tenant, f"{tenant}.laptop", f"{tenant}.none", OWN)
            }
            assert len(answers) == 1
            assert "404" in answers.pop()
        # So that time tells nothing either: nobody was asked about any tenant.
        assert server.watched.calls == []
    assert state(server) == before


@pytest.mark.parametrize("route", OPERATORS, ids=lambda route: route.name)
def test_a_bound_token_is_refused_what_is_the_operators(server: Running, route: object) -> None:
    assert isinstance(route, type(ROUTES[0]))
    bound = server.bound(OWN)
    before = state(server)
    tokens = [server.administration.tokens()[0].id, "0123456789abcdef"]
    answers = set()
    for token in tokens:
        path = path_of(route.path, OWN, token=token)
        answers |= {repr(told(bound(route.method, path, BODIES.get(route.name))))}
    assert len(answers) == 1
    assert "operator" in answers.pop()
    assert bound(route.method, path_of(route.path, OWN)).status in (403, 404)
    assert state(server) == before


def test_a_bound_token_reaches_no_other_tenant_by_way_of_its_own(server: Running) -> None:
    bound = server.bound(OWN)
    before = state(server)
    for path in (
        f"/tenants/{OWN}/../{OTHER}/credentials",
        f"/tenants/{OWN}/%2e%2e/{OTHER}/credentials",
        f"/tenants/{OWN}%2f..%2f{OTHER}/credentials",
        f"/tenants//{OTHER}/credentials",
        f"/tenants/{OTHER}/./credentials",
        f"//admin/api/v1/tenants/{OTHER}/credentials",
        f"/tenants/{OWN};{OTHER}/credentials",
        f"/tenants/{OWN}/credentials/",
        f"/tenants/{OWN}/credentials#",
        f"/TENANTS/{OWN}/credentials",
        "/tenants/",
        "",
    ):
        assert bound("GET", path).status == 404, path
    assert bound("DELETE", f"/tenants/{OWN}/credentials/{OTHER}.laptop").status == 404
    assert bound("DELETE", f"/tenants/{OWN}/credentials/{OTHER}").status == 404
    for query in (f"tenant={OTHER}", f"tenant_id={OTHER}", "first=2031-01-01&first=2031-01-02"):
        assert bound("GET", f"/tenants/{OWN}/usage?{query}").status == 400
    for field in ("tenant", "tenant_id", "credential"):
        body = {"label": "new", field: OTHER}
        assert bound("POST", f"/tenants/{OWN}/credentials", body).status == 400
    assert state(server) == before


def test_a_bound_token_does_what_it_is_for(server: Running) -> None:
    bound = server.bound(OWN)
    assert bound("POST", f"/tenants/{OWN}/credentials", {"label": "new"}).status == 201
    assert bound("DELETE", f"/tenants/{OWN}/credentials/{OWN}.new").status == 204
    every = bound.json("GET", f"/tenants/{OWN}/credentials")["credentials"]
    assert {one["tenant"] for one in every} == {OWN}
    usage = bound.json("GET", f"/tenants/{OWN}/usage")
    assert {day["tenant"] for day in usage["days"]} <= {OWN}


def test_without_a_token_there_is_a_challenge_and_nothing_else(server: Running) -> None:
    nobody = server.api(None)
    answers = set()
    for path in ("/tenants", "/tenants/acme", "/tenants/nobody", "/tokens/x", "/nothing", ""):
        for method in ("GET", "POST", "DELETE", "OPTIONS", "PATCH"):
            reply = nobody(method, path)
            assert reply.status == 401
            assert reply.header("WWW-Authenticate") == 'Bearer realm="Storj bridge"'
            answers.add(repr(told(reply)))
    assert len(answers) == 1


def test_a_token_counts_in_its_header_only_and_only_while_it_is_good(
    watched: Watched,
) -> None:
    with running(watched) as server:
        good = server.operator.text or ""
        later = watched.create_token("later", expires=time.time() + 1000)
        revoked = watched.create_token("revoked")
        watched.revoke_token(revoked.token.id)
        for header in (
            f"bearer {good}",
            f"Bearer  {good}",
            f"Bearer {later.text}",
        ):
            assert send(server, "/tenants", Authorization=header).status == 200, header
        watched.now = time.time() + 2000
        server.door.gate.forget()
        for header in (
            f"Bearer {later.text}",
            f"Bearer {revoked.text}",
            f"Bearer {good}x",
            f"Bearer {good[:-1]}",
            f"Bearer {good.upper()}",
            f"Bearer {good} {good}",
            f"Bearer {good}, Bearer {good}",
            f"Basic {good}",
            f"Token {good}",
            good,
            "Bearer",
        ):
            reply = send(server, "/tenants", Authorization=header)
            assert reply.status == 401, header
            assert 'error="invalid_token"' in (reply.header("WWW-Authenticate") or "")
            assert good.encode() not in reply.body
        assert send(server, f"/tenants?access_token={good}").status == 401
        for name in ("Cookie", "X-Auth-Token", "Proxy-Authorization", "X-Api-Key"):
            assert send(server, "/tenants", **{name: f"Bearer {good}"}).status == 401


def send(server: Running, path: str, method: str = "GET", **headers: str) -> Reply:
    return server.api(None)(method, path, headers=dict(headers))


def test_two_tokens_in_one_request_are_none(server: Running) -> None:
    """A proxy may have looked at the other one."""
    bound = server.bound(OWN)
    with server.operator.client.raw() as raw:
        raw.send("GET", "/tenants", f"Authorization: Bearer {bound.text}", "Connection: close")
        assert raw.line().split()[1] in ("400", "401")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-HTTP-Method-Override": "DELETE"},
        {"X-Original-URL": f"{ROOT}/tokens"},
        {"X-Rewrite-URL": f"{ROOT}/tokens"},
        {"X-Forwarded-Prefix": "/x", "X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-User": "operator", "Forwarded": "for=127.0.0.1"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_headers_change_neither_what_is_asked_nor_who_asks(
    server: Running, headers: dict[str, str]
) -> None:
    bound = server.bound(OWN)
    plain = bound("GET", f"/tenants/{OWN}/credentials")
    assert plain.status == 200
    tricked = bound("GET", f"/tenants/{OWN}/credentials", headers=headers)
    assert told(tricked) == told(plain)
    assert bound("GET", "/tenants", headers=headers).status == 403


def test_a_browser_of_another_site_is_told_nothing(server: Running) -> None:
    preflight = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    for api in (server.operator, server.api(None)):
        for method in ("OPTIONS", "GET"):
            reply = api(method, "/tenants", headers=preflight)
            assert not [h for h in reply.headers if h[0].lower().startswith("access-control")]
    assert server.api(None)("OPTIONS", "/tenants", headers=preflight).status == 401
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        reply = server.operator(
            "POST", "/tenants", raw=b'{"id": "new"}', headers={"Content-Type": kind}
        )
        assert reply.status == 415


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_what_cannot_be_done_is_told_with_what_can(server: Running, method: str) -> None:
    allowed = {
        "/tenants": {"GET", "HEAD", "POST"},
        f"/tenants/{OWN}/suspend": {"POST"},
        f"/tenants/{OWN}/quota": {"PUT"},
        "/openapi.json": {"GET", "HEAD"},
    }
    for path, methods in allowed.items():
        reply = server.operator(method, path)
        if method in methods:
            assert reply.status != 405
        else:
            assert reply.status == 405
            assert set((reply.header("Allow") or "").split(", ")) == methods


def test_every_answer_forbids_to_keep_it_and_has_an_id(server: Running) -> None:
    for api in (server.operator, server.api(None), server.bound(OWN)):
        for method, path in (
            ("GET", "/tenants"),
            ("HEAD", "/tenants"),
            ("GET", "/openapi.json"),
            ("GET", "/nothing"),
            ("POST", "/tenants"),
            ("DELETE", f"/tenants/{OWN}/credentials/{OWN}.none"),
        ):
            reply = api(method, path)
            assert reply.header("Cache-Control") == "no-store"
            assert reply.header("X-Content-Type-Options") == "nosniff"
            assert reply.header("X-Request-Id")
            if reply.status >= 400:
                assert reply.header("Content-Type") == "application/problem+json"
                if method != "HEAD":
                    said = json.loads(reply.body)
                    assert said["status"] == reply.status
                    assert said["detail"]


MALFORMED = {
    "nothing": b"",
    "no JSON": b"{",
    "two values": b'{"id": "new"} {"id": "new"}',
    "an array": b'[{"id": "new"}]',
    "null": b"null",
    "a field twice": b'{"id": "new", "id": "other"}',
    "an inner field twice": b'{"id": "new", "x": {"a": 1, "a": 2}}',
    "an unknown field": b'{"id": "new", "admin": true}',
    "a number for text": b'{"id": 7}',
    "text for a number": b'{"id": "new", "quota": "7"}',
    "a truth value for a number": b'{"id": "new", "quota": true}',
    "a part of a byte": b'{"id": "new", "quota": 1.5}',
    "less than nothing": b'{"id": "new", "quota": -1}',
    "NaN": b'{"id": "new", "quota": NaN}',
    "Infinity": b'{"id": "new", "quota": 1e999}',
    "5,000 digits": b'{"id": "new", "quota": ' + b"9" * 5000 + b"}",
    "beyond 64 bits": b'{"id": "new", "quota": 9223372036854775808}',
    "depth": b'{"id": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "a lone surrogate": b'{"id": "new", "partner": "\\ud800"}',
    "NUL": b'{"id": "n\\u0000"}',
    "a line's end": b'{"id": "new\\n"}',
    "a path": b'{"id": "../other"}',
    "a dot": b'{"id": "acme.laptop"}',
    "capitals": b'{"id": "NEW"}',
    "a long name": b'{"id": "' + b"a" * 64 + b'"}',
    "a header in a partner": b'{"id": "new", "partner": "a\\r\\nX: y"}',
    "a formula in a partner": b'{"id": "new", "partner": "=1+1"}',
    "Latin-1": b'{"id": "\xe9"}',
    "UTF-16": '{"id": "new"}'.encode("utf-16"),
    "a BOM": b"\xef\xbb\xbf" + b'{"id": "new"}',
    "gzip": b"\x1f\x8b\x08\x00",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_a_body_that_is_not_as_it_should_be_is_refused_with_where(
    server: Running, body: bytes
) -> None:
    before = state(server)
    reply = server.operator("POST", "/tenants", raw=body)
    assert reply.status == 400
    said = json.loads(reply.body)
    assert said["errors"]
    assert all(fault["message"] for fault in said["errors"])
    assert len(reply.body) < 2_000
    assert state(server) == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("credentials", {"rights": []}),
        ("credentials", {"rights": ["read", "read"]}),
        ("credentials", {"rights": ["admin"]}),
        ("credentials", {"rights": "read"}),
        ("credentials", {"rights": 15}),
        ("credentials", {"label": "a b"}),
        ("credentials", {"label": "a\n"}),
        ("credentials", {"label": "a/b"}),
        ("credentials", {"label": "a" * 129}),
        ("credentials", {"root": "photos"}),
        ("credentials", {"root": "/" * 4097}),
        ("credentials", {"expires": 2**31}),
        ("credentials", {"expires": "2099"}),
        ("credentials", {"expires": "2099-02-30T00:00:00Z"}),
        ("credentials", {"expires": "2099-01-01T00:00:00"}),
        ("credentials", {"secret": "mine"}),
        ("quota", {}),
        ("quota", {"quota": "none"}),
    ],
)
def test_values_that_no_credential_or_quota_has(
    server: Running, path: str, body: dict[str, object]
) -> None:
    before = state(server)
    method = "PUT" if path == "quota" else "POST"
    assert server.operator(method, f"/tenants/{OWN}/{path}", body).status == 400
    assert state(server) == before


def test_what_is_well_formed_and_cannot_be_is_told_apart(server: Running) -> None:
    path = f"/tenants/{OWN}/credentials"
    for body in ({"label": "x", "expires": "2001-01-01T00:00:00Z"}, {"label": "x", "root": "/../"}):
        reply = server.operator("POST", path, body)
        assert reply.status == 422
        assert json.loads(reply.body)["detail"]


def test_a_huge_body_is_refused_before_it_is_read(server: Running) -> None:
    assert server.operator("POST", "/tenants", raw=b" " * (BODY + 1)).status == 413
    with server.operator.client.raw() as raw:
        raw.send(
            "POST", "/tenants", "Content-Type: application/json", f"Content-Length: {10 << 30}"
        )
        assert raw.line().split()[1] == "413"

    def endless() -> Iterator[bytes]:
        for _ in range(BODY // 4096 + 2):
            yield b" " * 4096

    assert server.operator("POST", "/tenants", raw=endless()).status == 413


def test_a_request_that_takes_no_body_is_given_none(server: Running) -> None:
    before = state(server)
    for method, path in (("POST", f"/tenants/{OWN}/suspend"), ("DELETE", f"/tenants/{OWN}")):
        assert server.operator(method, path, {"purge": True}).status == 400
    assert server.operator("DELETE", f"/tenants/{OWN}?purge=yes").status == 400
    assert server.operator("DELETE", f"/tenants/{OWN}?purge=true&purge=false").status == 400
    assert server.operator("DELETE", f"/tenants/{OWN}?Purge=true").status == 400
    assert server.operator("POST", "/tenants?id=x", {"id": "new"}).status == 400
    assert state(server) == before


def test_a_client_that_waits_to_be_asked_for_its_body_is_refused_without(server: Running) -> None:
    with server.operator.client.raw() as raw:
        raw.send(
            "POST",
            f"/tenants/{OWN}/nothing",
            "Content-Type: application/json",
            "Content-Length: 10",
            "Expect: 100-continue",
        )
        assert raw.line().split()[1] == "404"


def test_a_tenant_that_asks_much_leaves_room_for_the_operator(
    watched: Watched,
) -> None:
    """Counted by what runs at once; see also bridge.admin.places."""
    watched.create_tenant(OWN)
    held, go = threading.Event(), threading.Event()
    credentials = watched.credentials

    def slow(tenant_id: str) -> object:
        held.set()
        go.wait(20)
        return credentials(tenant_id)

    watched.replace("credentials", slow)
    with running(watched) as server:
        bound = server.bound(OWN)
        statuses: list[int] = []

        def ask() -> None:
            statuses.append(bound("GET", f"/tenants/{OWN}/credentials").status)

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        assert held.wait(20)
        assert server.operator("GET", "/tenants").status == 200
        while len(statuses) < 8:  # the others were told to come again
            threads[0].join(0.01)
        go.set()
        for thread in threads:
            thread.join(20)
    assert sorted(statuses) == [200] * 4 + [503] * 8


def test_changes_that_hang_leave_workers_for_everything_else(watched: Watched) -> None:
    watched.create_tenant(OWN)
    running_now, most, statuses = 0, 0, []
    go, lock = threading.Event(), threading.Lock()

    def slow(tenant_id: str) -> object:
        nonlocal running_now, most
        with lock:
            running_now += 1
            most = max(most, running_now)
        go.wait(20)
        with lock:
            running_now -= 1
        return watched.service.suspend(tenant_id)

    watched.replace("suspend", slow)
    with running(watched) as server:

        def ask() -> None:
            statuses.append(server.operator("POST", f"/tenants/{OWN}/suspend").status)

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        limit = time.monotonic() + 20
        while running_now < places.OPERATORS.changes and time.monotonic() < limit:
            time.sleep(0.01)
        assert server.operator("GET", "/tenants").status == 200
        assert running_now == places.OPERATORS.changes
        go.set()
        for thread in threads:
            thread.join(20)
    assert statuses == [200] * 20
    assert most == places.OPERATORS.changes


def test_proxies_say_who_asks_only_where_they_are_trusted(watched: Watched) -> None:
    headers = {"X-Forwarded-For": "192.0.2.7", "X-Request-ID": "mine"}
    for proxies, address in (((), "127.0.0.1"), (("127.0.0.1",), "192.0.2.7")):
        with running(watched, proxies=proxies) as server:
            reply = server.operator("GET", "/tenants", headers=headers)
            assert (reply.header("X-Request-Id") == "mine") is bool(proxies)
            (served,) = server.served
            assert served.address == address
            token = watched.token(server.operator.text or "")
            assert token is not None
            assert replace(served, seconds=0.0, request_id="", agent="").principal == (
                f"token:{token.id}"
            )
