"""What the operator does through the API, from the first tenant to the last token."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from bridge.tenants.api import Status, UsageDay
from tests.admin.memory import MemoryAdministration
from tests.admin.server import ROOT, Running, running


def test_a_tenant_is_made_shown_listed_and_deleted(server: Running) -> None:
    ask = server.operator
    made = ask("POST", "/tenants", {"id": "acme", "quota": 1000})
    assert made.status == 201
    assert made.header("Location") == f"{ROOT}/tenants/acme"
    shown = json.loads(made.body)
    assert shown["recovery_identity"].startswith("AGE-SECRET-KEY-1")
    assert shown["tenant"]["status"] == "active"
    one = ask.json("GET", "/tenants/acme")
    assert one["tenant"] == shown["tenant"]
    assert one["tenant"]["quota"] == 1000
    assert set(one["used"]) == {"bytes", "stored", "files", "counted"}
    assert ask.json("GET", "/tenants") == {"tenants": [one["tenant"]]}
    assert ask("DELETE", "/tenants/acme?purge=true").status in (202, 204)
    until_gone(server, "acme")
    assert ask("DELETE", "/tenants/acme").status == 404


def until_gone(server: Running, tenant: str) -> None:
    """A deletion that was answered 202 goes on; asking again resumes it."""
    limit = time.monotonic() + 30
    while server.operator("GET", f"/tenants/{tenant}").status != 404:
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_what_exists_is_not_made_again(server: Running) -> None:
    ask = server.operator
    for status in (201, 409):
        assert ask("POST", "/tenants", {"id": "acme"}).status == status
    for status in (201, 409):
        assert ask("POST", "/tenants/acme/credentials", {"label": "laptop"}).status == status


def test_a_tenant_is_suspended_resumed_and_limited(server: Running) -> None:
    ask = server.operator
    ask.json("POST", "/tenants", {"id": "acme"}, 201)
    assert ask.json("POST", "/tenants/acme/suspend")["status"] == "suspended"
    assert ask.json("POST", "/tenants/acme/suspend")["status"] == "suspended"
    assert ask.json("POST", "/tenants/acme/resume")["status"] == "active"
    assert ask.json("PUT", "/tenants/acme/quota", {"quota": 5})["quota"] == 5
    assert ask.json("PUT", "/tenants/acme/quota", {"quota": None})["quota"] is None


def test_credentials_are_made_listed_and_revoked(server: Running) -> None:
    ask = server.operator
    ask.json("POST", "/tenants", {"id": "acme"}, 201)
    whole = ask.json("POST", "/tenants/acme/credentials", {}, 201)
    assert whole["credential"]["name"] == "acme"
    assert whole["credential"]["rights"] == ["read", "write", "list", "delete"]
    assert len(whole["secret"]) >= 22  # 128 bits in base64url
    body = {
        "label": "it@desk.2",
        "rights": ["list", "read"],
        "root": "/photos",
        "expires": "2099-12-31T23:59:59+01:00",
    }
    made = ask("POST", "/tenants/acme/credentials", body)
    assert made.status == 201
    part = json.loads(made.body)["credential"]
    assert part["name"] == "acme.it@desk.2"
    assert part["rights"] == ["read", "list"]
    assert part["root"] == "/photos"
    assert part["expires"] == "2099-12-31T22:59:59Z"
    every = ask.json("GET", "/tenants/acme/credentials")["credentials"]
    assert every == [whole["credential"], part]
    place = made.header("Location") or ""
    assert place == f"{ROOT}/tenants/acme/credentials/acme.it@desk.2"
    assert ask("DELETE", place.removeprefix(ROOT)).status == 204
    assert ask("DELETE", place.removeprefix(ROOT)).status == 404
    assert ask("DELETE", "/tenants/acme/credentials/acme").status == 204
    assert ask.json("GET", "/tenants/acme/credentials") == {"credentials": []}


def test_a_credential_is_revoked_by_its_own_tenant_only(server: Running) -> None:
    ask = server.operator
    for tenant in ("acme", "other"):
        ask.json("POST", "/tenants", {"id": tenant}, 201)
        ask.json("POST", f"/tenants/{tenant}/credentials", {}, 201)
    assert ask("DELETE", "/tenants/acme/credentials/other").status == 404
    assert len(ask.json("GET", "/tenants/other/credentials")["credentials"]) == 1


def test_tokens_are_made_used_listed_and_revoked(server: Running) -> None:
    ask = server.operator
    ask.json("POST", "/tenants", {"id": "acme"}, 201)
    made = ask.json("POST", "/tokens", {"label": "cloud", "tenant": "acme"}, 201)
    bound = server.api(made["text"])
    assert bound("GET", "/tenants/acme/credentials").status == 200
    listed = ask.json("GET", "/tokens")["tokens"]
    assert made["token"] in listed
    assert all("text" not in token for token in listed)
    assert ask("DELETE", f"/tokens/{made['token']['id']}").status == 204
    assert ask("DELETE", f"/tokens/{made['token']['id']}").status == 404
    assert bound("GET", "/tenants/acme/credentials").status == 401
    assert ask("POST", "/tokens", {"label": "x", "tenant": "nobody"}).status == 404


DAYS = [
    UsageDay("acme", "files", "", "2031-01-31", 1, 20, 3, 10.4),
    UsageDay("acme", "files", "", "2031-01-30", 1, 20, 3, 10.4),
    UsageDay("acme", "files", "p/1", "2031-02-01", 1, 300, 3, 1.0),
    UsageDay("other", "files", "", "2031-01-31", 5, 4000, 6, 2.0),
]


@pytest.fixture
def counted(memory: MemoryAdministration) -> Iterator[Running]:
    memory.days = DAYS
    for tenant in ("acme", "other"):
        memory.create_tenant(tenant, quota=9)
    with running(memory) as server:
        yield server


def test_usage_by_day_in_json(counted: Running) -> None:
    ask = counted.operator
    every = ask.json("GET", "/usage")["days"]
    assert len(every) == 4
    assert every[0] == {
        "tenant": "acme",
        "bucket": "files",
        "partner": "",
        "day": "2031-01-31",
        "up": 1,
        "down": 20,
        "requests": 3,
        "byte_hours": 10.4,
    }
    some = ask.json("GET", "/usage?first=2031-01-31&last=2031-01-31")["days"]
    assert [(day["tenant"], day["down"]) for day in some] == [("acme", 20), ("other", 4000)]
    own = ask.json("GET", "/tenants/acme/usage?first=2031-02-01")
    assert [day["down"] for day in own["days"]] == [300]
    assert own["quota"] == 9
    assert own["used"] == {"bytes": 5, "stored": 7, "files": 1, "counted": None}


def test_usage_by_month_in_csv(counted: Running) -> None:
    for path, tenants in (("/usage", ("acme", "other")), ("/tenants/acme/usage", ("acme",))):
        reply = counted.operator("GET", path, headers={"Accept": "text/csv"})
        assert reply.status == 200
        assert reply.header("Content-Type") == "text/csv; charset=utf-8"
        lines = reply.body.decode().splitlines()
        assert lines[0] == "month,tenant,bucket,partner,byte_hours,bytes_down,bytes_up,requests"
        assert lines[1:] == [
            line
            for line in (
                "2031-01,acme,files,,21,40,2,6",
                "2031-01,other,files,,2,4000,5,6",
                "2031-02,acme,files,p/1,1,300,1,3",
            )
            if line.split(",")[1] in tenants
        ]


@pytest.mark.parametrize(
    ("accept", "csv"),
    [
        ("text/csv", True),
        ("text/html, text/csv;q=0.9", True),
        ("application/json;q=0.5, text/csv", True),
        ("text/csv, application/json", False),
        ("text/csv;q=0", False),
        ("text/csv;q=x", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_csv_is_what_is_asked_for(counted: Running, accept: str, csv: bool) -> None:
    reply = counted.operator("GET", "/usage", headers={"Accept": accept})
    assert (reply.header("Content-Type") or "").startswith("text/csv") is csv


def test_a_deletion_that_takes_long_is_answered_and_goes_on(memory: MemoryAdministration) -> None:
    memory.create_tenant("acme")

    def delete_tenant(tenant_id: str, *, purge: bool) -> None:
        """Only begins, as one does that leaves the data to background work."""
        memory._tenants[tenant_id] = memory._change(tenant_id, status=Status.DELETING)

    memory.delete_tenant = delete_tenant  # type: ignore[method-assign]
    with running(memory) as server:
        assert server.operator("DELETE", "/tenants/acme?purge=true").status == 202
        shown = server.operator.json("GET", "/tenants/acme")
        assert shown["tenant"]["status"] == "deleting"
        refused = server.operator("POST", "/tenants/acme/credentials", {})
        assert refused.status == 409
        assert "being deleted" in json.loads(refused.body)["detail"]
