"""Whoever is shut out while a request is under way changes nothing by it any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from bridge.admin import lasting
from bridge.admin.lasting import AT_ONCE
from bridge.admin.places import OPERATORS
from bridge.http.limits import Limits
from bridge.state.api import StateError
from bridge.tenants.api import NewToken, Token
from tests.admin.server import Api, Running, running
from tests.admin.watched import Watched
from tests.webdav.client import Raw, Reply

WAIT = 20.0


@contextmanager
def held_back(api: Api, path: str, body: bytes) -> Iterator[Raw]:
    """A POST that was let in, half of whose body has yet to come."""
    with api.client.raw() as raw:
        raw.send(
            "POST",
            path,
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Expect: 100-continue",
        )
        assert raw.reply().status == 100  # so the token was looked at
        raw.sock.sendall(body[: len(body) // 2])
        yield raw


def is_refused(reply: Reply) -> bool:
    """As a request with that token is from its beginning."""
    challenge = reply.header("WWW-Authenticate") or ""
    return reply.status == 401 and 'error="invalid_token"' in challenge


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "by another process"])
@pytest.mark.parametrize(
    ("tenant", "path"), [(None, "/tokens"), ("acme", "/tenants/acme/credentials")]
)
def test_a_token_revoked_while_its_body_comes_makes_nothing(
    server: Running, tenant: str | None, path: str, elsewhere: bool
) -> None:
    server.watched.create_tenant("acme")
    leaked: NewToken = server.watched.create_token("leaked", tenant_id=tenant)
    body = b'{"label": "mine"}'
    with held_back(server.api(leaked.text), path, body) as raw:
        if elsewhere:
            server.watched.service.revoke_token(leaked.token.id)
        else:
            assert server.operator("DELETE", f"/tokens/{leaked.token.id}").status == 204
        raw.sock.sendall(body[len(body) // 2 :])
        assert is_refused(raw.reply())
    assert [token.label for token in server.administration.tokens()] == ["operator"]
    assert server.administration.credentials("acme") == []


def test_the_token_of_a_deleted_tenant_gets_nothing_of_the_next_of_that_name(
    server: Running,
) -> None:
    server.watched.create_tenant("acme")
    body = b'{"label": "ghost"}'
    with held_back(server.bound("acme"), "/tenants/acme/credentials", body) as raw:
        assert server.operator("DELETE", "/tenants/acme?purge=true").status == 204
        assert server.operator("POST", "/tenants", {"id": "acme"}).status == 201
        raw.sock.sendall(body[len(body) // 2 :])
        assert is_refused(raw.reply())
    assert server.administration.credentials("acme") == []


class Held:
    """A method that hangs until ``go``, and one that tells when a token was looked at."""

    def __init__(self, watched: Watched, method: str, most: int) -> None:
        self.go = threading.Event()
        self._hanging = threading.Semaphore(0)
        self._most = most
        self._looked: dict[str, threading.Event] = {}
        real, find = getattr(watched.service, method), watched.service.token

        def slow(*arguments: object, **named: object) -> object:
            self._hanging.release()
            assert self.go.wait(WAIT)
            return real(*arguments, **named)

        def token(text: str) -> Token | None:
            found: Token | None = find(text)
            if text in self._looked:
                self._looked[text].set()
            return found

        watched.replace(method, slow)
        watched.replace("token", token)

    def wait(self) -> None:
        """Until as many hang as can."""
        for _ in range(self._most):
            assert self._hanging.acquire(timeout=WAIT)

    @contextmanager
    def let_in(self, text: str) -> Iterator[None]:
        """Go on when a request in this block was let in by this token."""
        looked = self._looked[text] = threading.Event()
        yield
        assert looked.wait(WAIT)


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as pool:
        yield pool


def test_a_token_revoked_while_it_waits_for_its_turn_changes_nothing(
    watched: Watched, clients: ThreadPoolExecutor
) -> None:
    watched.create_tenant("acme")
    held = Held(watched, "suspend", OPERATORS.changes)
    with running(watched) as server:
        leaked = watched.create_token("leaked")
        for _ in range(OPERATORS.changes):
            clients.submit(server.operator, "POST", "/tenants/acme/suspend")
        held.wait()
        with held.let_in(leaked.text):
            late = clients.submit(server.api(leaked.text), "POST", "/tokens", {"label": "mine"})
        watched.revoke_token(leaked.token.id)
        held.go.set()
        assert is_refused(late.result(WAIT))
    assert [token.label for token in watched.tokens()] == ["operator"]


def test_a_deletion_that_waits_for_its_turn_is_not_begun_for_a_revoked_token(
    watched: Watched, clients: ThreadPoolExecutor
) -> None:
    for tenant in ("acme", *(f"other-{n}" for n in range(AT_ONCE))):
        watched.create_tenant(tenant)
    held = Held(watched, "delete_tenant", AT_ONCE)
    with running(watched) as server:
        leaked = watched.create_token("leaked")
        for number in range(AT_ONCE):
            clients.submit(server.operator, "DELETE", f"/tenants/other-{number}?purge=true")
        held.wait()
        with held.let_in(leaked.text):
            late = clients.submit(server.api(leaked.text), "DELETE", "/tenants/acme?purge=true")
        watched.revoke_token(leaked.token.id)
        held.go.set()
        assert is_refused(late.result(WAIT))
    assert [tenant.id for tenant in watched.tenants()] == ["acme"]


def test_a_deletion_whose_turn_does_not_come_is_refused_and_never_begins(
    watched: Watched, clients: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [f"other-{n}" for n in range(AT_ONCE)]
    for tenant in ("acme", *others):
        watched.create_tenant(tenant)
    held = Held(watched, "delete_tenant", AT_ONCE)
    with running(watched) as server:
        first = [
            clients.submit(server.operator, "DELETE", f"/tenants/{other}?purge=true")
            for other in others
        ]
        held.wait()
        with monkeypatch.context() as hurried:
            hurried.setattr(lasting, "PATIENCE", 0.05)
            refused = server.operator("DELETE", "/tenants/acme?purge=true")
            assert refused.status == 503
            assert refused.header("Retry-After")
            begun = server.operator("DELETE", f"/tenants/{others[0]}?purge=true")
            assert begun.status == 202
        held.go.set()
        assert [reply.result(WAIT).status for reply in first] == [204] * AT_ONCE
        assert [tenant.id for tenant in watched.tenants()] == ["acme"]
        assert server.operator("DELETE", "/tenants/acme?purge=true").status == 204
    assert watched.tenants() == []


def test_who_asks_too_is_not_refused_for_the_revoked_token_of_another(
    watched: Watched, clients: ThreadPoolExecutor
) -> None:
    for tenant in ("acme", *(f"other-{n}" for n in range(AT_ONCE))):
        watched.create_tenant(tenant)
    held = Held(watched, "delete_tenant", AT_ONCE)
    with running(watched) as server:
        leaked, good = watched.create_token("leaked"), watched.create_token("good")
        for number in range(AT_ONCE):
            clients.submit(server.operator, "DELETE", f"/tenants/other-{number}?purge=true")
        held.wait()
        replies = []
        for made in (leaked, good):
            with held.let_in(made.text):
                api = server.api(made.text)
                replies.append(clients.submit(api, "DELETE", "/tenants/acme?purge=true"))
        watched.revoke_token(leaked.token.id)
        held.go.set()
        assert is_refused(replies[0].result(WAIT))
        assert replies[1].result(WAIT).status == 204
    assert watched.tenants() == []


def test_a_token_revoked_while_it_waits_for_a_worker_reads_nothing(
    watched: Watched, clients: ThreadPoolExecutor
) -> None:
    held = Held(watched, "tenants", 1)
    with running(watched, limits=Limits(drain=0.5, threads=1)) as server:
        leaked = watched.create_token("leaked")
        clients.submit(server.operator, "GET", "/tenants")
        held.wait()
        with held.let_in(leaked.text):
            late = clients.submit(server.api(leaked.text), "GET", "/tokens")
        watched.revoke_token(leaked.token.id)
        held.go.set()
        assert is_refused(late.result(WAIT))


def test_nothing_is_done_where_the_database_does_not_say_that_the_token_is_good(
    server: Running,
) -> None:
    body = b'{"label": "mine"}'
    with held_back(server.operator, "/tokens", body) as raw:

        def token(_text: str) -> Token | None:
            raise StateError("away")

        server.watched.replace("token", token)
        raw.sock.sendall(body[len(body) // 2 :])
        assert raw.reply().status == 503
    assert [each.label for each in server.administration.tokens()] == ["operator"]
