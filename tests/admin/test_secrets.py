"""Tokens, grants and secrets: in the one answer that shows them, and nowhere else."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bridge.admin import door
from bridge.http import failures
from bridge.telemetry.logs import configure_logs
from bridge.tenants.api import TenantError
from tests.admin.server import Running, running
from tests.admin.watched import Watched

GRANT = "12aBcDeFgHiJkLmNoPqRsTuVwXyZ"


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """All that is logged, at the lowest level, as the service writes it."""
    monkeypatch.setattr(failures, "LONGEST_WAIT", 0.001)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs("debug", "json", stream=stream)
    monkeypatch.setattr(door, "_audit", structlog.get_logger())
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("bridge").setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def server(logs: io.StringIO, watched: Watched) -> Iterator[Running]:
    with running(watched) as server:
        yield server


def test_no_log_and_no_later_answer_holds_what_was_shown_once(
    server: Running, logs: io.StringIO
) -> None:
    ask = server.operator
    root, own = f"grant-root-{GRANT}", f"grant-own-{GRANT}"
    another = f"grant-another-{GRANT}"
    made = [
        ask.json("POST", "/tenants", {"id": "acme", "root_grant": root}, 201),
        ask.json("POST", "/tenants", {"id": "other", "own_grant": own}, 201),
        ask.json("POST", "/tenants/acme/credentials", {}, 201),
        ask.json("POST", "/tokens", {"label": "cloud", "tenant": "acme"}, 201),
        ask.json("PUT", "/tenants/acme/grant", {"root_grant": another}),
    ]
    secrets = [
        ask.text or "",
        *(root, own, another),
        made[0]["recovery_identity"],
        made[0]["recovery_grant"],
        made[1]["recovery_identity"],
        made[2]["secret"],
        made[3]["text"],
        made[4]["recovery_grant"],
    ]
    assert all(len(secret) > 20 for secret in secrets)
    later = [
        ask(method, path, body)
        for method, path, body in (
            ("GET", "/tenants", None),
            ("GET", "/tenants/acme", None),
            ("GET", "/tenants/acme/credentials", None),
            ("GET", "/tokens", None),
            ("POST", "/tenants", {"id": "acme", "root_grant": root}),
            ("PUT", "/tenants/acme/grant", {"root_grant": another, "own_grant": own}),
            ("PUT", "/tenants/nobody/grant", {"root_grant": another}),
            ("POST", "/tenants/acme/credentials", {}),
            ("DELETE", f"/tenants/acme/credentials/{made[2]['secret']}", None),
            ("DELETE", f"/tokens/{made[3]['text']}", None),
            ("GET", f"/usage?first={made[3]['text']}", None),
            ("DELETE", "/tenants/acme?purge=true", None),
        )
    ]
    wrong = (made[3]["text"] + "x", made[2]["secret"])
    later += [server.api(text)("GET", "/tenants") for text in wrong]
    said = b"".join(reply.body for reply in later).decode() + repr([r.headers for r in later])
    logged = logs.getvalue()
    assert '"administration"' in logged
    for secret in secrets:
        assert secret not in said
        assert secret not in logged


@pytest.mark.parametrize(
    "body",
    [
        {"id": "new", "root_grant": GRANT},
        {"id": "new", "own_grant": GRANT},
        {"id": "new", "root_grant": f"grant-{GRANT}", "own_grant": f"grant-{GRANT}"},
        {"id": "new", "root_grant": [GRANT]},
        {"id": "new", "root_grant": {"grant": GRANT}},
        {"id": "new", "root_grant": GRANT * 1000},
        {"id": "new", "rootgrant": GRANT},
        {"id": "new", GRANT * 2: True},
        {"id": GRANT},
        {"id": "new", "bucket": GRANT},
        {"id": "new", "partner": f"{GRANT} {GRANT}"},
        {"id": "new", "quota": GRANT},
        [GRANT],
        GRANT,
    ],
)
def test_no_error_repeats_a_grant_wherever_it_was_put(
    server: Running, logs: io.StringIO, body: object
) -> None:
    reply = server.operator("POST", "/tenants", body)
    assert reply.status in (400, 422)
    assert GRANT not in reply.body.decode()
    assert GRANT not in logs.getvalue()


@pytest.mark.parametrize("raw", [b'{"id": "new", "root_grant": "%s', b"%s", b'"%s" "%s"'])
def test_no_error_repeats_a_grant_of_a_broken_body(
    server: Running, logs: io.StringIO, raw: bytes
) -> None:
    reply = server.operator("POST", "/tenants", raw=raw.replace(b"%s", GRANT.encode()))
    assert reply.status == 400
    assert GRANT not in reply.body.decode()
    assert GRANT not in logs.getvalue()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError(f"unforeseen, with grant-{GRANT}"), 500),
        (OSError(f"the satellite refused grant-{GRANT}"), 503),
        (TenantError(f"this will not do: grant-{GRANT}"), 409),
    ],
)
def test_what_goes_wrong_deeper_down_repeats_no_grant_either(
    server: Running,
    logs: io.StringIO,
    watched: Watched,
    error: Exception,
    status: int,
) -> None:
    watched.broken = error
    reply = server.operator("POST", "/tenants", {"id": "new", "root_grant": f"grant-{GRANT}"})
    assert reply.status == status
    assert GRANT not in reply.body.decode()
    assert GRANT not in logs.getvalue()
    assert (reply.header("X-Request-Id") or "?") in logs.getvalue()


def test_what_is_unforeseen_tells_strangers_nothing_and_the_log_where(
    server: Running, logs: io.StringIO, watched: Watched
) -> None:
    watched.broken = RuntimeError("SELECT salt FROM tokens at /var/lib/bridge/state.db")
    reply = server.operator("GET", "/tenants")
    assert reply.status == 500
    said = json.loads(reply.body)
    assert said["title"] == "Internal Server Error"
    assert "log" in said["detail"]
    assert "SELECT" not in reply.body.decode()
    assert "RuntimeError" in logs.getvalue()


def test_changes_leave_a_trace_of_who_made_them(server: Running, logs: io.StringIO) -> None:
    server.operator.json("POST", "/tenants", {"id": "acme"}, 201)
    server.operator("GET", "/tenants")
    lines = [json.loads(line) for line in logs.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"] == "administration"]
    tokens = server.administration.tokens()
    assert line["username"] == f"token:{tokens[0].id}"
    assert (line["operation"], line["tenant"], line["status"]) == ("createTenant", "acme", 201)
