"""Storj holds a credential to its rights by its grant, though the bridge's own check be wrong.

Each set of rights has a grant of its own on a real network, and every method is called without the
bridge's check: what that would refuse, the satellite refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path as FilePath

import pytest

from bridge.files.errors import StorageForbidden
from bridge.files.vault_tree import VaultTree
from bridge.store.storj.access import Access
from bridge.store.storj.facts import Permission, Place
from bridge.store.storj.grants import credential_grant
from bridge.store.storj.store import StorjOptions, StorjStore
from bridge.tenants.api import Right
from tests.files.script import path, run, snapshot
from tests.files.vault import PREFIX, NetworkClock, Vault, opened
from tests.network.client import Network
from tests.network.values import Project
from tests.store.storj.opening import USER_AGENT, new_bucket, open_store
from tests.tenants.test_confined import DELETE, EVERY_RIGHT, LIST, METHODS, READ, WRITE, named

NOT_HELD = {"copy over a file", "usage"}
"""Storj asks a copy for no right to delete what it replaces; the tenant's grant counts usage."""


@pytest.fixture
def bucket(network: Network, storj_project: Project) -> str:
    return new_bucket(network, storj_project)


@pytest.fixture
def vault(storj_project: Project, bucket: str, tmp_path: FilePath) -> Iterator[Vault]:
    with opened(open_store(storj_project, bucket), tmp_path, NetworkClock()) as made:
        run(
            made.tree(),
            "write /f in, write /g g, mkdir /d, write /d/h h, mkdir /e, write /e/i i",
        )
        yield made


@contextmanager
def acting(vault: Vault, project: Project, bucket: str, rights: Right) -> Iterator[VaultTree]:
    """A tree whose requests are made with a grant of these rights."""
    permission = Permission(
        download=READ in rights,
        upload=WRITE in rights,
        list=LIST in rights,
        delete=DELETE in rights,
    )
    grant = credential_grant(Access.parse(project.grant), [Place(bucket, PREFIX)], permission)
    with closing(StorjStore(grant, bucket, StorjOptions(USER_AGENT))) as store:
        yield vault.tree().acting_by(store)


@pytest.mark.parametrize("rights", EVERY_RIGHT, ids=named)
def test_what_the_bridge_would_refuse_the_satellite_refuses(
    vault: Vault, storj_project: Project, bucket: str, rights: Right
) -> None:
    before = snapshot(vault.tree())
    with acting(vault, storj_project, bucket, rights) as tree:
        for method, (act, needed) in METHODS.items():
            if needed not in rights and method not in NOT_HELD:
                with pytest.raises(StorageForbidden):
                    act(tree)
        if not (WRITE in rights and rights & (READ | LIST)):
            with pytest.raises(StorageForbidden):
                tree.set_properties(path("/f"), set={"{x:}a": "<a/>"})
    assert snapshot(vault.tree()) == before


@pytest.mark.parametrize("method", METHODS)
def test_what_the_bridge_allows_a_grant_of_just_these_rights_can_do(
    vault: Vault, storj_project: Project, bucket: str, method: str
) -> None:
    act, needed = METHODS[method]
    with acting(vault, storj_project, bucket, needed) as tree:
        act(tree)


@pytest.mark.parametrize("rights", [WRITE | READ, WRITE | LIST], ids=named)
def test_properties_can_be_set_with_a_grant_of_just_these_rights(
    vault: Vault, storj_project: Project, bucket: str, rights: Right
) -> None:
    changed = {"{x:}a": "<a/>"}
    with acting(vault, storj_project, bucket, rights) as tree:
        tree.set_properties(path("/f"), set=changed)
    assert vault.tree().properties(path("/f")) == changed
