"""What tenants' requests take of the admin API, and what they leave to the operator."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from bridge.admin.places import OPERATORS, TENANT, TENANTS
from bridge.http.limits import Limits
from tests.admin.server import running
from tests.admin.watched import Watched

WAIT = 20.0


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


class Hanging:
    """A method that hangs for each tenant of which the name begins with ``evil``, until ``go``."""

    def __init__(self, watched: Watched, method: str) -> None:
        self.go = threading.Event()
        self.most: Counter[str] = Counter()
        """Of each tenant, and of all by the name "", how many hung at once."""
        self._now: Counter[str] = Counter()
        self._changed = threading.Condition()
        real = getattr(watched.service, method)

        def slow(tenant_id: str, *arguments: object, **named: object) -> object:
            if tenant_id.startswith("evil"):
                self._count(tenant_id, 1)
                assert self.go.wait(WAIT)
                self._count(tenant_id, -1)
            return real(tenant_id, *arguments, **named)

        watched.replace(method, slow)

    def wait(self, number: int) -> None:
        """Until so many hang."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._now[""] >= number, WAIT)

    def _count(self, tenant_id: str, more: int) -> None:
        with self._changed:
            for name in (tenant_id, ""):
                self._now[name] += more
                self.most[name] = max(self.most[name], self._now[name])
            self._changed.notify_all()


def test_changes_of_tenants_that_hang_leave_the_operator_all_of_his(
    watched: Watched, clients: ThreadPoolExecutor
) -> None:
    evil = [f"evil-{number}" for number in range(TENANTS.changes)]
    for tenant in (*evil, "victim"):
        watched.create_tenant(tenant)
    watched.create_credential("victim", "lost")
    hanging = Hanging(watched, "create_credential")
    with running(watched) as server:
        replies = []
        for tenant in evil:
            bound = server.bound(tenant)
            for number in range(TENANT.requests):
                path, body = f"/tenants/{tenant}/credentials", {"label": f"q{number}"}
                replies.append(clients.submit(bound, "POST", path, body))
        hanging.wait(TENANTS.changes)
        ask = server.operator
        assert ask("DELETE", "/tenants/victim/credentials/victim.lost").status == 204
        for tenant in evil:
            assert ask("POST", f"/tenants/{tenant}/suspend").status == 200
        hanging.go.set()
        assert {reply.result(WAIT).status for reply in replies} == {201}
    assert hanging.most[""] == TENANTS.changes
    assert all(hanging.most[tenant] == TENANT.changes for tenant in evil)


def test_one_tenant_whose_changes_hang_leaves_turns_to_the_tokens_of_others(
    watched: Watched, clients: ThreadPoolExecutor
) -> None:
    for tenant in ("evil", "other"):
        watched.create_tenant(tenant)
    hanging = Hanging(watched, "create_credential")
    with running(watched) as server:
        bound = server.bound("evil")
        replies = [
            clients.submit(bound, "POST", "/tenants/evil/credentials", {"label": f"q{number}"})
            for number in range(TENANT.requests)
        ]
        hanging.wait(TENANT.changes)
        made = server.bound("other")("POST", "/tenants/other/credentials", {"label": "x"})
        assert made.status == 201
        hanging.go.set()
        assert {reply.result(WAIT).status for reply in replies} == {201}
    assert hanging.most["evil"] == TENANT.changes


def test_requests_of_many_tenants_leave_the_operator_all_of_his(
    watched: Watched, clients: ThreadPoolExecutor
) -> None:
    evil = [f"evil-{number}" for number in range(OPERATORS.requests // TENANT.requests)]
    for tenant in evil:
        watched.create_tenant(tenant)
    hanging = Hanging(watched, "credentials")
    with running(watched) as server:
        replies = []
        for tenant in evil:
            bound = server.bound(tenant)
            ask = partial(bound, "GET", f"/tenants/{tenant}/credentials")
            replies += [clients.submit(ask) for _ in range(TENANT.requests)]
        refused = len(replies) - TENANTS.requests
        hanging.wait(TENANTS.requests)
        assert server.operator("GET", "/tenants").status == 200
        assert server.operator("POST", f"/tenants/{evil[0]}/suspend").status == 200
        hanging.go.set()
        statuses = Counter(reply.result(WAIT).status for reply in replies)
    assert statuses[503] <= refused  # less where one came when another had left
    assert statuses[200] + statuses[503] == len(replies)
    assert hanging.most[""] == TENANTS.requests


def test_a_tenant_has_no_second_line_of_workers_by_its_token(watched: Watched) -> None:
    threads, its = 10, 8  # so many may one line have of ten
    for tenant in ("acme", "other"):
        watched.create_tenant(tenant)
    watched.create_credential("acme", "lost")
    begun, go = threading.Semaphore(0), threading.Event()

    def hang() -> None:
        begun.release()
        go.wait(WAIT)

    with running(watched, limits=Limits(drain=0.5, threads=threads, wait=0.5)) as server:
        bound = server.bound("acme")
        server.occupy("acme", hang, its)
        for _ in range(its):
            assert begun.acquire(timeout=WAIT)
        assert bound("GET", "/tenants/acme/credentials").status == 503
        assert server.bound("other")("GET", "/tenants/other/credentials").status == 200
        assert server.operator("GET", "/tenants/acme/credentials").status == 200
        assert server.operator("DELETE", "/tenants/acme/credentials/acme.lost").status == 204
        go.set()
        assert bound("GET", "/tenants/acme/credentials").status == 200
