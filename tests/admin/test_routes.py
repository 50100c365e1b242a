"""What the operator does through the API, from the first tenant to the last token."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from datetime import date

import pytest

from bridge.admin import lasting
from bridge.tenants.api import Status, UsageDay
from bridge.tenants.report import by_month
from bridge.tenants.usage import Change, Traffic
from bridge.tenants.usage_rows import TenantUsage
from tests.admin.server import ROOT, Running, running
from tests.admin.watched import Watched


def test_a_tenant_is_made_shown_listed_and_deleted(server: Running) -> None:
    ask = server.operator
    made = ask("POST", "/tenants", {"id": "acme", "quota": 1000})
    assert made.status == 201
    assert made.header("Location") == f"{ROOT}/tenants/acme"
    shown = json.loads(made.body)
    assert shown["recovery_identity"].startswith("AGE-SECRET-KEY-1")
    assert re.fullmatch("[0-9a-f]{32}", shown["fingerprint"])
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


def test_a_tenants_grant_is_replaced(server: Running) -> None:
    ask = server.operator
    made = ask.json("POST", "/tenants", {"id": "acme", "root_grant": "grant-root"}, 201)
    ask.json("POST", "/tenants/acme/credentials", {"label": "laptop"}, 201)
    replaced = ask.json("PUT", "/tenants/acme/grant", {"root_grant": "grant-root"})
    assert replaced["tenant"] == made["tenant"]
    assert replaced["recovery_grant"] not in ("", made["recovery_grant"])
    assert not replaced["former_works"]
    assert ask.json("PUT", "/tenants/acme/grant", {"own_grant": "grant-own"})["former_works"]
    wrong = [{"root_grant": "wrong"}, {"root_grant": "grant-root", "own_grant": "grant-own"}]
    for body in wrong:
        assert ask("PUT", "/tenants/acme/grant", body).status == 422
    assert ask("PUT", "/tenants/acme/grant", {"grant": "grant-root"}).status == 400
    assert ask("PUT", "/tenants/nobody/grant", {"root_grant": "grant-root"}).status == 404
    assert server.bound("acme")("PUT", "/tenants/acme/grant", {}).status == 403


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
    assert made.header("Location") is None  # a GET there would be 405
    place = "/tenants/acme/credentials/acme.it@desk.2"
    assert ask("GET", place).status == 405
    assert ask("DELETE", place).status == 204
    assert ask("DELETE", place).status == 404
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


JANUARY_30 = (date(2031, 1, 30) - date(1970, 1, 1)).days


@pytest.fixture
def counted(watched: Watched) -> Iterator[Running]:
    """Two tenants that were used."""
    for tenant, partner in (("acme", ""), ("other", "partner/1.0")):
        made = watched.create_tenant(tenant, quota=9, partner=partner).tenant
        for day in range(JANUARY_30, JANUARY_30 + 3):
            traffic = Traffic(up=1, down=len(tenant), requests=3)
            TenantUsage(watched.state.rows, made).add(Change(0, 0, 0), {day: traffic})
        TenantUsage(watched.state.rows, made).add(Change(5, 7, 1), {})
    with running(watched) as server:
        yield server


def test_usage_by_day_in_json(counted: Running) -> None:
    ask = counted.operator
    every = ask.json("GET", "/usage?first=2031-01-01")["days"]
    assert len(every) == 6
    assert every[0] == {
        "tenant": "acme",
        "bucket": "bucket",
        "partner": "",
        "day": "2031-01-30",
        "up": 1,
        "down": 4,
        "requests": 3,
        "byte_hours": 0.0,
    }
    some = ask.json("GET", "/usage?first=2031-01-31&last=2031-01-31")["days"]
    assert [(day["tenant"], day["down"]) for day in some] == [("acme", 4), ("other", 5)]
    own = ask.json("GET", "/tenants/acme/usage?first=2031-02-01")
    assert [(day["tenant"], day["day"]) for day in own["days"]] == [("acme", "2031-02-01")]
    assert own["quota"] == 9
    assert own["used"] == {"bytes": 5, "stored": 7, "files": 1, "counted": None}


def test_usage_from_a_day_to_one_before_it_is_refused(counted: Running) -> None:
    for path in ("/usage", "/tenants/acme/usage"):
        asked = f"{path}?first=2031-01-31&last=2031-01-30"
        problem = counted.operator.json("GET", asked, status=422)
        assert "2031-01-31, comes after the last, 2031-01-30" in problem["detail"]


def test_usage_of_all_has_that_of_tenants_that_are_gone(counted: Running) -> None:
    ask = counted.operator
    assert ask("DELETE", "/tenants/acme?purge=true").status == 204
    days = ask.json("GET", "/usage?first=2031-01-31&last=2031-01-31")["days"]
    assert [(day["tenant"], day["down"]) for day in days] == [("acme", 4), ("other", 5)]
    assert ask("GET", "/tenants/acme/usage").status == 404


def test_usage_by_month_in_csv(counted: Running) -> None:
    head = "month,tenant,bucket,partner,byte_hours,bytes_down,bytes_up,requests"
    acme = ["2031-01,acme,bucket,,0,8,2,6", "2031-02,acme,bucket,,0,4,1,3"]
    other = [
        "2031-01,other,bucket,partner/1.0,0,10,2,6",
        "2031-02,other,bucket,partner/1.0,0,5,1,3",
    ]
    every = [acme[0], other[0], acme[1], other[1]]
    for path, lines in (("/usage", every), ("/tenants/acme/usage", acme)):
        reply = counted.operator("GET", f"{path}?first=2031-01-01", headers={"Accept": "text/csv"})
        assert reply.status == 200
        assert reply.header("Content-Type") == "text/csv; charset=utf-8"
        assert reply.body.decode().splitlines() == [head, *lines]


def test_months_are_sums_of_days() -> None:
    days = [
        UsageDay("acme", "b", "", "2031-01-31", 1, 20, 3, 10.4),
        UsageDay("acme", "b", "", "2031-01-30", 1, 20, 3, 10.4),
        UsageDay("acme", "other", "", "2031-01-30", 1, 20, 3, 0.6),
    ]
    assert by_month(days).split("\r\n")[1:] == [
        "2031-01,acme,b,,21,40,2,6",
        "2031-01,acme,other,,1,20,1,3",
        "",
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


def test_a_deletion_that_takes_long_is_answered_and_goes_on(watched: Watched) -> None:
    watched.create_tenant("acme")

    def delete_tenant(tenant_id: str, *, purge: bool) -> None:
        """As where the satellite does not answer: the rest is done later."""
        watched.service.records.set_status(tenant_id, Status.DELETING)

    watched.replace("delete_tenant", delete_tenant)
    with running(watched) as server:
        assert server.operator("DELETE", "/tenants/acme?purge=true").status == 202
        shown = server.operator.json("GET", "/tenants/acme")
        assert shown["tenant"]["status"] == "deleting"
        refused = server.operator("POST", "/tenants/acme/credentials", {})
        assert refused.status == 409
        assert "deleted" in json.loads(refused.body)["detail"]


def test_a_deletion_that_runs_is_joined_by_whoever_asks_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lasting, "PATIENCE", 0.01)
    watched.create_tenant("acme")
    begun, go = threading.Event(), threading.Event()

    def delete_tenant(tenant_id: str, *, purge: bool) -> None:
        watched.calls.append(f"purge {purge}")
        begun.set()
        go.wait(20)
        watched.service.delete_tenant(tenant_id, purge=purge)

    watched.replace("delete_tenant", delete_tenant)
    with running(watched) as server:
        while server.operator("DELETE", "/tenants/acme?purge=true").status == 503:
            pass  # that was too short a wait for a worker to begin it
        assert begun.is_set()
        for _ in range(4):
            assert server.operator("DELETE", "/tenants/acme?purge=true").status == 202
        assert watched.calls.count("purge True") == 1
        assert server.operator("GET", "/tenants").status == 200
        go.set()
        until_gone(server, "acme")
