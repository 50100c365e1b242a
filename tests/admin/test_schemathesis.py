"""Schemathesis asks for everything that the served OpenAPI document says, and more.

It sends what the document allows and what it forbids, follows what answers name, leaves the token
out, tries other methods, and holds every answer against the document.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bridge.http import failures
from tests.admin.server import ROOT, Running, running
from tests.admin.watched import Watched

# 413: it writes a grant of other letters than grants have, each as six bytes of JSON.
# 422: well-formed, and cannot be.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "413", "422"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "422"]
"""

OWN = """
[parameters]
"path.tenant" = "acme"
"""

EXAMPLES = [pytest.param(5), pytest.param(150, marks=[pytest.mark.long, pytest.mark.timeout(1200)])]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tries wrong tokens often; that these wait is shown elsewhere."""
    monkeypatch.setattr(failures, "LONGEST_WAIT", 0.001)


def schemathesis(server: Running, token: str, configuration: Path, *options: str) -> Counter[int]:
    """Run it, and count the statuses of the answers."""
    before = len(server.served)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration)),
            *("run", f"http://127.0.0.1:{server.port}{ROOT}/openapi.json"),
            *("--header", f"Authorization: Bearer {token}", "--checks", "all", "--mode", "all"),
            *("--continue-on-failure", "--suppress-health-check", "all", "--no-color", *options),
        ],
        cwd=configuration.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Counter(served.status for served in server.served[before:])


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("whose", ["operator", "tenant"])
def test_every_answer_is_what_the_document_says(
    watched: Watched, tmp_path: Path, whose: str, examples: int
) -> None:
    for tenant in ("acme", "other"):
        watched.create_tenant(tenant)
        watched.create_credential(tenant, "laptop")
    with running(watched) as server:
        bound = None if whose == "operator" else "acme"
        token = watched.create_token("fuzz", tenant_id=bound)
        configuration = tmp_path / "schemathesis.toml"
        configuration.write_text(CONFIGURATION + (OWN if bound else ""))

        def run(*options: str) -> Counter[int]:
            most = ("--max-examples", str(examples))
            return schemathesis(server, token.text, configuration, *most, *options)

        # It would revoke the token it comes in with.
        statuses = run("--exclude-operation-id", "revokeToken")
        assert watched.token(token.text) == token.token
        statuses += run("--include-operation-id", "revokeToken")
    assert {200, 201, 400, 401, 404, 405} <= statuses.keys()
    assert statuses[200] + statuses[201] + statuses[204] > 10
    assert (statuses[403] > 30) is (whose == "tenant")
    assert max(statuses) < 500
