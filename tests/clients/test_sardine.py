"""Sardine, the Java client from which Cyberduck's WebDAV grew, in a session for real."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.clients.dav import Dav
from tests.clients.names import ODD_NAMES
from tests.clients.programs import run
from tests.processes import Demo
from tests.tools import missing, require_tool

SESSION = Path(__file__).parent / "sardine"


@pytest.fixture(scope="module")
def class_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The compiled session and Sardine with all it needs, as ``pom.xml`` pins it."""
    maven, compiler = require_tool("mvn"), require_tool("javac")
    home = tmp_path_factory.mktemp("sardine")
    shutil.copy(SESSION / "pom.xml", home / "pom.xml")
    fetched = run(
        [maven, "--batch-mode", "--quiet", "dependency:copy-dependencies",
         f"-DoutputDirectory={home / 'lib'}"],
        cwd=home,
        check=False,
    )  # fmt: skip
    if fetched.returncode != 0:
        missing(f"Sardine from Maven ({fetched.stdout.strip()[-500:]})")
    classes = f"{home / 'classes'}:{home / 'lib'}/*"
    run([compiler, "-d", home / "classes", "-cp", classes, SESSION / "Session.java"])
    return classes


@pytest.mark.timeout(300)
def test_sardine_does_all_it_offers(class_path: str, demo: Demo, dav: Dav, folder: str) -> None:
    java = require_tool("java")
    environment = {
        "BRIDGE_FOLDER": dav.href(folder) + "/",
        "BRIDGE_USERNAME": demo.username,
        "BRIDGE_PASSWORD": demo.password,
    }
    names = "\n".join(quote(name, safe="") for name in ODD_NAMES)
    said = run([java, "-Xmx256m", "-cp", class_path, "Session"], text=names, env=environment)
    assert said.stdout == "done\n"
    assert dav.names(f"{folder}/moved") == sorted(ODD_NAMES)
    assert dav.get(f"{folder}/locked") == b"new"
