"""Commands for tenants beside a running service."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.state.api import LeaseName
from bridge.state.database import open_state
from bridge.tenants import alone
from bridge.tenants.keks import new_kek
from tests import secrecy
from tests.cli.service import Configured, ask, authorization
from tests.processes import BridgeProcess

SOON = 5.0
"""Seconds within which what one process has taken away is gone in all."""


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    return Configured(tmp_path / "bridge", '[admin]\naddress = "127.0.0.1:0"\n')


@pytest.fixture
def service(configured: Configured) -> Iterator[BridgeProcess]:
    with configured.service() as process:
        yield process


def command(configured: Configured, *words: str, stdin: str | None = None) -> Result:
    """Run a command on the configuration; ``words``: the command, then its arguments."""
    names = 2 if words[0] in {"tenant", "credential", "token", "keys"} else 1
    arguments = [*words[:names], "--config", str(configured.file), *words[names:]]
    return CliRunner().invoke(main, arguments, input=stdin)


def told(configured: Configured, *words: str) -> dict[str, Any]:
    """What a command says in JSON."""
    done = command(configured, *words, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    secrecy.note_told(found)
    return found


def made(configured: Configured, *words: str) -> dict[str, str]:
    """The header of a new credential; ``words`` as of ``credential create``."""
    found = told(configured, "credential", "create", *words)
    return authorization(found["username"], found["secret"])


def status(
    service: BridgeProcess, headers: dict[str, str], path: str = "", verb: str = "GET"
) -> int:
    body = b"content" if verb == "PUT" else None
    return ask(service.ready["webdav_url"] + path, verb, headers, body)[0]


def until(status_is: int, service: BridgeProcess, headers: dict[str, str]) -> None:
    """Ask until the answer has this status, or SOON has passed."""
    ends = time.monotonic() + SOON
    while status(service, headers, verb="PROPFIND") != status_is:
        assert time.monotonic() < ends, f"not {status_is} within {SOON} s"
        time.sleep(0.05)


def test_a_recovery_identity_is_shown_under_the_fingerprint(configured: Configured) -> None:
    shown = command(configured, "tenant", "create", "acme").stdout
    (mark,) = re.findall(
        r"^# vault fingerprint: ([0-9a-f]{32})\nAGE-SECRET-KEY-1\S+$", shown, re.MULTILINE
    )
    target = str(configured.folder / "target")
    assert told(configured, "export", "--tenant", "acme", target)["fingerprint"] == mark


def test_a_tenant_is_made_used_suspended_and_deleted(
    configured: Configured, service: BridgeProcess
) -> None:
    found = told(configured, "tenant", "create", "acme")
    assert found["recovery_identity"].startswith("AGE-SECRET-KEY-1")
    assert re.fullmatch("[0-9a-f]{32}", found["fingerprint"])
    acme = made(configured, "acme")
    mine = authorization("main", configured.secret)
    assert status(service, acme, "file", "PUT") == 201
    assert status(service, acme, "file") == 200
    assert status(service, mine, "file") == 404
    listed = {each["id"]: each["status"] for each in told(configured, "tenant", "list")["tenants"]}
    assert listed == {"acme": "active", "main": "active"}
    told(configured, "tenant", "suspend", "acme")
    until(401, service, acme)
    assert status(service, mine, verb="PROPFIND") == 207
    told(configured, "tenant", "resume", "acme")
    until(207, service, acme)
    asked = command(configured, "tenant", "delete", "acme", "--purge", stdin="n\n")
    assert asked.exit_code == 1
    assert "for ever" in asked.output
    assert told(configured, "tenant", "show", "acme")["status"] == "active"
    assert told(configured, "tenant", "delete", "acme", "--purge", "--yes")["deleted"]
    until(401, service, acme)
    left = [path.name for path in (configured.folder / "store").rglob("*acme*")]
    assert left == []
    assert status(service, mine, verb="PROPFIND") == 207


def test_what_is_not_there_is_not_told_as_if_it_were(configured: Configured) -> None:
    shown = command(configured, "tenant", "create", "acme").stdout
    assert "It opens all its files" in shown  # one thing: there is no grant
    lines = command(configured, "tenant", "show", "acme").stdout.splitlines()
    facts = dict(line.split(maxsplit=1) for line in lines)
    assert (facts["quota"], facts["counted"]) == ("none", "not yet")
    assert not {"bucket", "partner"} & facts.keys()
    told(configured, "tenant", "quota", "acme", "500GB")
    listed = command(configured, "tenant", "list").stdout
    assert re.search(r"^acme .* a quota of 500000000000 bytes$", listed, re.MULTILINE)
    assert re.search(r"^main .* no quota$", listed, re.MULTILINE)


def test_what_has_expired_is_told_as_such(configured: Configured) -> None:
    told(configured, "tenant", "create", "acme")
    told(configured, "credential", "create", "acme", "old", "--expires", "1d")
    told(configured, "credential", "create", "acme", "new", "--expires", "1d")
    told(configured, "token", "create", "old", "--expires", "1d")
    told(configured, "token", "create", "new", "--expires", "1d")
    connection = sqlite3.connect(configured.folder / "state.db")
    with connection:
        for table in ("credentials", "tokens"):
            connection.execute(f"UPDATE {table} SET expires = 1e9 WHERE label = 'old'")
    connection.close()
    for words, kind in (
        (("token", "list"), "tokens"),
        (("credential", "list", "acme"), "credentials"),
    ):
        each = {found["label"]: found["expired"] for found in told(configured, *words)[kind]}
        assert each == {"new": False, "old": True}
        lines = command(configured, *words).stdout.splitlines()
        assert ["old" in line for line in lines] == ["expired 2001-09-09" in line for line in lines]
    for label, expired in (("old", True), ("new", False)):
        refused = command(configured, "credential", "create", "acme", label)
        assert refused.exit_code == 7
        assert ("(it has expired; revoke it first)" in refused.stderr) == expired


def test_a_creation_that_died_is_told_when_to_run_it_again(
    configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "_WAIT", 0.0)
    name = LeaseName(b"", b"whole tenant")
    with open_state(configured.folder / "state.db") as state:
        held = state.tree("acme").acquire([name], [], wait=0.0)
        refused = command(configured, "tenant", "create", "acme")
        held.release()
    assert refused.exit_code == 7
    assert "if that one has died, run this again in a minute or two" in refused.stderr


def test_a_tenant_that_has_no_grant_gets_none(configured: Configured) -> None:
    told(configured, "tenant", "create", "acme")
    for name, words in (("acme", "only tenants on Storj"), ("main", "only tenants on Storj")):
        arguments = ("tenant", "replace-grant", name, "--own-grant-file", "-")
        refused = command(configured, *arguments, stdin="12abc")
        assert refused.exit_code == 7
        assert words in refused.stderr
    assert command(configured, "tenant", "replace-grant", "acme", "12abc").exit_code == 2


def test_a_credential_does_what_it_may_in_its_folder(
    configured: Configured, service: BridgeProcess
) -> None:
    told(configured, "tenant", "create", "acme")
    anna = made(configured, "acme", "anna", "--root", "/people/anna")
    everything = made(configured, "acme")
    reader = made(configured, "acme", "reader", "--rights", "read,list")
    assert status(service, anna, "file", "PUT") == 201
    assert status(service, everything, "people/anna/file") == 200
    assert status(service, reader, "people/anna/file") == 200
    assert status(service, reader, "people/anna/file", "PUT") == 403
    assert status(service, reader, "people/anna/file", "DELETE") == 403
    assert status(service, anna, "people/anna/file") == 404
    found = told(configured, "credential", "list", "acme")["credentials"]
    assert [(each["username"], each["root"]) for each in found] == [
        ("acme", "/"),
        ("acme.anna", "/people/anna"),
        ("acme.reader", "/"),
    ]
    told(configured, "credential", "revoke", "acme", "anna")
    until(401, service, anna)
    assert status(service, everything, "people/anna/file") == 200


def test_a_quota_is_held(configured: Configured, service: BridgeProcess) -> None:
    told(configured, "tenant", "create", "acme", "--quota", "20")
    acme = made(configured, "acme")
    assert [status(service, acme, name, "PUT") for name in "abc"] == [201, 201, 507]
    assert status(service, acme, "a", "DELETE") == 204
    assert status(service, acme, "c", "PUT") == 201
    told(configured, "tenant", "quota", "acme", "none")
    ends = time.monotonic() + SOON
    while status(service, acme, "d", "PUT") != 201:
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_usage_is_told_by_day_and_by_month(configured: Configured) -> None:
    told(configured, "tenant", "create", "acme")
    acme = made(configured, "acme")
    with configured.service() as service:
        assert status(service, acme, "file", "PUT") == 201
        for _ in range(3):
            assert status(service, acme, "file") == 200
    (day,) = told(configured, "usage", "acme")["days"]
    size = len(b"content")
    assert (day["tenant"], day["up"], day["down"], day["requests"]) == ("acme", size, 3 * size, 4)
    shown = told(configured, "tenant", "show", "acme")
    assert (shown["used_bytes"], shown["files"]) == (size, 1)
    done = command(configured, "usage", "--csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    (row,) = (row for row in rows if row["tenant"] == "acme")
    assert (row["month"], row["bytes_down"]) == (day["day"][:7], str(3 * size))
    assert command(configured, "usage", "--first", "yesterday").exit_code == 7
    told(configured, "tenant", "delete", "acme", "--purge", "--yes")
    (gone,) = told(configured, "usage", "acme")["days"]
    assert (gone["day"], gone["down"]) == (day["day"], 3 * size)
    assert command(configured, "usage", "nobody").exit_code == 6


def test_usage_from_a_day_to_one_before_it_is_refused(configured: Configured) -> None:
    days = ("usage", "--first", "2031-01-02", "--last", "2031-01-01")
    done = command(configured, *days, "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"] == {
        "code": 2,
        "message": "the first day, 2031-01-02, comes after the last, 2031-01-01",
    }
    assert command(configured, *days).exit_code == 2


def test_a_token_opens_the_admin_api_until_it_is_revoked(
    configured: Configured, service: BridgeProcess
) -> None:
    told(configured, "tenant", "create", "acme")
    url = service.ready["admin_url"]
    found = told(configured, "token", "create", "cloud", "--tenant", "acme", "--expires", "30d")
    bearer = {"Authorization": f"Bearer {found['token']}", "Content-Type": "application/json"}
    code, _, answer = ask(f"{url}/tenants/acme/credentials", "POST", bearer, b'{"label": "x"}')
    assert code == 201
    secret = json.loads(answer)["secret"]
    headers = authorization("acme.x", secret)
    assert status(service, headers, verb="PROPFIND") == 207
    assert ask(f"{url}/tenants", "GET", bearer)[0] in {403, 404}
    code, _, _ = ask(f"{url}/tenants/acme/credentials/acme.x", "DELETE", bearer)
    assert code == 204
    assert status(service, headers, verb="PROPFIND") == 401  # at once, in this very process
    told(configured, "token", "revoke", found["id"])
    ends = time.monotonic() + SOON
    while ask(f"{url}/tenants/acme/credentials", "GET", bearer)[0] != 401:
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_without_the_database_all_comes_back(configured: Configured) -> None:
    told(configured, "tenant", "create", "acme", "--quota", "5GB")
    acme = made(configured, "acme", "x", "--root", "/folder")
    with configured.service() as service:
        assert status(service, acme, "file", "PUT") == 201
    for file in configured.folder.glob("state.db*"):
        file.unlink()
    found = told(configured, "recover")
    assert [(each["tenant_id"], each["problem"]) for each in found["tenants"]] == [
        ("acme", ""),
        ("main", ""),
    ]
    assert "tokens" in found["lost"]
    assert told(configured, "tenant", "show", "acme")["quota"] == 5 * 10**9
    with configured.service() as service:
        assert status(service, acme, "file") == 200
        assert status(service, authorization("main", configured.secret), verb="PROPFIND") == 207


def test_the_operators_key_is_replaced(configured: Configured) -> None:
    told(configured, "tenant", "create", "acme")
    acme = made(configured, "acme")
    kek = configured.folder / "kek"
    old, new = kek.read_text().strip(), new_kek()
    kek.write_text(f"{new}\n{old}\n")
    with configured.service() as service:
        assert status(service, acme, "file", "PUT") == 201
        found = told(configured, "keys", "rotate-kek")
        assert found["left"] == {}
        assert all(count > 0 for count in found["sealed"].values())
        assert status(service, acme, "file") == 200
    kek.write_text(f"{new}\n")
    with configured.service() as service:
        assert status(service, acme, "file") == 200
    kek.write_text(f"{old}\n")
    refused = command(configured, "tenant", "create", "other")
    assert refused.exit_code == 5
    assert found["key_id"] in refused.output
    # To take away, no key is needed.
    assert told(configured, "credential", "revoke", "acme")["revoked"]
    kek.write_text(f"{new}\n")
    with configured.service() as service:
        assert status(service, acme, "file") == 401


@pytest.mark.parametrize(
    "words",
    [
        ["tenant", "create", "x", "--quota", "much"],
        ["credential", "create", "main", "a", "--rights", "read,fly"],
        ["credential", "create", "main", "a", "--expires", "tomorrow"],
        ["tenant", "quota", "main", "-5"],
    ],
)
def test_what_is_misspelt_is_told_as_usage(configured: Configured, words: list[str]) -> None:
    assert command(configured, *words).exit_code == 2


def test_no_secret_lies_in_the_clear(configured: Configured) -> None:
    """After all that was done, neither log nor database holds one."""
    tenant = told(configured, "tenant", "create", "acme")
    secret = told(configured, "credential", "create", "acme")["secret"]
    token = told(configured, "token", "create", "x")["token"]
    with configured.service() as service:
        assert status(service, authorization("acme", secret), "file", "PUT") == 201
        assert status(service, authorization("acme", secret + "x"), "file", "PUT") == 401
        ask(service.ready["admin_url"] + "/tenants", "GET", {"Authorization": f"Bearer {token}"})
    dump = "\n".join(sqlite3.connect(configured.folder / "state.db").iterdump())
    log = (configured.folder / "service.log").read_text()
    kek = (configured.folder / "kek").read_text().strip()
    for word in (
        secret,
        token,
        token.removeprefix("sbt_").partition("_")[2],
        tenant["recovery_identity"],
        kek,
    ):
        assert word not in log
        assert word not in dump
        assert word.encode().hex() not in dump.lower()
