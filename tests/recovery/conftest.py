"""The stock tools of a recovery, and vaults whose bridge is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cli.identity import identity_file
from bridge.store.local import LocalStore
from bridge.store.storj.access import Access
from bridge.store.storj.grants import recovery_grant, tenant_grant
from bridge.store.storj.store import StorjOptions, StorjStore
from tests.network.client import Network
from tests.network.errors import GoMissing, NetworkError
from tests.network.values import Project
from tests.recovery.document import Person
from tests.recovery.lost import Lost
from tests.recovery.scene import APART, TENANT, Scene, served
from tests.recovery.uplink_cli import folder_of_uplink
from tests.store.storj.opening import USER_AGENT, new_bucket
from tests.tools import missing, require_tool


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build ``uplink`` before the first test: it takes longer than a test may."""
    if session.config.option.collectonly:
        return
    if any("uplink_cli" in getattr(item, "fixturenames", ()) for item in session.items):
        try:
            folder_of_uplink(say=lambda line: print(line, flush=True))
        except NetworkError:
            return  # the fixture tells the tests that need it


@pytest.fixture(scope="session")
def uplink_cli() -> Path:
    """The folder with Storj's own ``uplink`` program."""
    try:
        return folder_of_uplink(say=print)
    except GoMissing as error:
        missing(str(error))
    except NetworkError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def age() -> str:
    """The stock ``age`` program."""
    return require_tool("age")


def handed_out(scene: Scene) -> str:
    """The recovery identity as it is shown when the vault is made."""
    return identity_file(scene.identity, scene.keyrings.fingerprint())


@pytest.fixture
def on_local(tmp_path: Path) -> Iterator[Lost]:
    with served(LocalStore(tmp_path / "store"), tmp_path, standalone=APART) as scene:
        person = Person(tmp_path / "person", handed_out(scene))
        yield Lost(
            scene,
            person,
            "From a local store",
            {"STORE/objects/TENANT.d": f"{tmp_path}/store/objects/{TENANT}.d"},
        )


@pytest.fixture
def on_storj(
    tmp_path: Path, network: Network, storj_project: Project, uplink_cli: Path
) -> Iterator[Lost]:
    bucket = new_bucket(network, storj_project)
    root = Access.parse(storj_project.grant)
    grant = tenant_grant(root, bucket, f"{TENANT}/", f".bridge/{TENANT}/")
    store = StorjStore(grant, bucket, StorjOptions(user_agent=USER_AGENT))
    with served(store, tmp_path, standalone=APART) as scene:
        person = Person(tmp_path / "person", handed_out(scene), uplink_cli)
        reading = recovery_grant(Access.parse(grant), bucket, f"{TENANT}/")
        (person.folder / "grant.txt").write_text(reading + "\n")
        person.env["UPLINK_ACCESS"] = str(person.folder / "grant.txt")
        yield Lost(scene, person, "From Storj", {"BUCKET": bucket, "TENANT": TENANT})


@pytest.fixture(params=["on_local", "on_storj"])
def lost(request: pytest.FixtureRequest) -> Lost:
    found: Lost = request.getfixturevalue(request.param)
    return found
