"""Stores of many tenants in one process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge import __version__
from bridge.settings import Settings, load
from bridge.store.api import Forbidden, InvalidKey, NotFound, RateLimited, Unavailable
from bridge.store.storj import control
from bridge.store.storj.access import Access
from bridge.store.storj.facts import READ, Place
from bridge.store.storj.grants import credential_grant, tenant_grant
from bridge.stores import CannotOpen, Stores, agent_of, grant_text, open_store
from bridge.telemetry.metrics import Metrics
from tests.network.client import Network
from tests.network.values import Project
from tests.store.objects import exists, read, write
from tests.store.storj.grants import grant
from tests.store.storj.opening import new_bucket


def _settings(tmp_path: Path, **store: Any) -> Settings:
    fixed = {"store": store, "state": {"path": tmp_path / "state.db"}, "tenant": {"id": "a"}}
    return load(None, fixed)


@pytest.fixture(params=["local", "memory"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Of a store that is one for all; a single call at once."""
    where = {"path": tmp_path / "store"} if request.param == "local" else {}
    return _settings(tmp_path, kind=request.param, calls_at_once=1, retry_seconds=0.05, **where)


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    with Stores(settings, create=True) as opened:
        yield opened


def test_all_tenants_use_one_store_and_close_it_for_none(stores: Stores) -> None:
    first, second = (stores.open(name, bucket="", grant=None) for name in ("a", "b"))
    write(first, "a/x", b"content")
    upload = first.put("a/y")
    first.close()
    with pytest.raises(Unavailable):
        first.stat("a/x")
    with pytest.raises(Unavailable):
        upload.commit({})
    assert read(second, "a/x") == b"content"
    assert read(stores.open("a", bucket="", grant=None), "a/x") == b"content"
    assert not exists(second, "a/y")


def test_with_the_stores_goes_what_all_share(settings: Settings) -> None:
    stores = Stores(settings, create=True)
    store = stores.open("a", bucket="", grant=None)
    stores.close()
    with pytest.raises(Unavailable):
        store.stat("a/x")


def test_the_one_store_that_was_opened_takes_all_with_it(settings: Settings) -> None:
    store = open_store(settings, create=True)
    write(store, "x", b"content")
    store.close()
    with pytest.raises(Unavailable):
        store.stat("x")


def test_tenants_share_one_gate(stores: Stores) -> None:
    store = stores.open("a", bucket="", grant=None)
    stores._gate.enter(0, "b")
    with pytest.raises(RateLimited):
        store.stat("x")
    stores._gate.leave()
    with pytest.raises(NotFound):
        store.stat("x")


def test_the_calls_of_all_tenants_are_counted_together(settings: Settings) -> None:
    metrics = Metrics(__version__)
    with Stores(settings, metrics, create=True) as stores:
        for name in ("a", "b"):
            stores.open(name, bucket="", grant=None).probe()
    assert b'storj_bridge_store_seconds_count{operation="probe"} 2.0' in metrics.text()


def test_a_missing_folder_is_made_only_when_told_so(tmp_path: Path) -> None:
    settings = _settings(tmp_path, kind="local", path=tmp_path / "store")
    with pytest.raises(CannotOpen, match="does not exist"):
        Stores(settings)
    Stores(settings, create=True).close()
    Stores(settings).close()


def _storj(tmp_path: Path, **store: Any) -> Settings:
    return _settings(tmp_path, kind="storj", bucket="photos", grant=grant(), **store)


def test_without_a_configured_grant_it_is_told_where_one_goes(tmp_path: Path) -> None:
    settings = _settings(tmp_path, kind="storj", bucket="photos", grant_file=tmp_path / "missing")
    for grant_file in (settings.store.grant_file, None):
        configured = settings.store.model_copy(update={"grant_file": grant_file})
        with pytest.raises(CannotOpen, match=r"store: .*missing|store: .*set grant_file"):
            grant_text(configured)


def test_whom_storj_credits_is_the_tenants_partner_else_the_configured_one(tmp_path: Path) -> None:
    ours = f"storj-bridge/{__version__}"
    without = _storj(tmp_path).store
    assert agent_of(without) == ours
    assert agent_of(without, "acme/1.0") == f"acme/1.0 {ours}"
    configured = _storj(tmp_path, partner="other/2.0").store
    assert agent_of(configured) == f"other/2.0 {ours}"
    assert agent_of(configured, "acme/1.0") == f"acme/1.0 {ours}"


def test_on_storj_a_tenant_needs_a_grant(tmp_path: Path) -> None:
    stores = Stores(_storj(tmp_path))
    with pytest.raises(CannotOpen, match="tenant a has no access grant"):
        stores.open("a", bucket="photos", grant=None)
    with pytest.raises(Forbidden, match="not an access grant"):
        stores.open("a", bucket="photos", grant="nonsense")


def test_what_is_no_user_agent_opens_nothing(tmp_path: Path) -> None:
    stores = Stores(_storj(tmp_path))
    before = control.handles()
    with pytest.raises(InvalidKey, match="invalid user agent"):
        stores.open("a", bucket="photos", grant=grant(), partner="acme/1 ((")
    assert control.handles() == before


def test_many_stores_dropped_while_in_use_leave_nothing(tmp_path: Path) -> None:
    stores = Stores(_storj(tmp_path))
    gc.collect()
    before = control.handles()
    opened = [stores.open(f"t{number}", bucket="photos", grant=grant()) for number in range(300)]
    assert control.handles() == before + 300
    uploads = [store.put("x") for store in opened[:10]]
    opened[0].close()
    del opened
    gc.collect()
    assert control.handles() == before + 9
    del uploads
    gc.collect()
    assert control.handles() == before


def test_tenants_on_storj_are_kept_apart_by_their_grants(
    network: Network, storj_project: Project, tmp_path: Path
) -> None:
    bucket = new_bucket(network, storj_project)
    root = Access.parse(storj_project.grant)
    grants = {
        name: tenant_grant(root, bucket, f"{name}/", f".bridge/{name}/") for name in ("a", "b")
    }
    narrow = credential_grant(Access.parse(grants["a"]), [Place(bucket, "a/")], READ)
    with Stores(_storj(tmp_path), Metrics(__version__)) as stores:
        opened = {name: stores.open(name, bucket=bucket, grant=grants[name]) for name in grants}
        reader = stores.open("a", bucket=bucket, grant=narrow)
        for name, store in opened.items():
            store.probe()
            write(store, f"{name}/x", name.encode())
        with closing(reader):
            assert read(reader, "a/x") == b"a"
            with pytest.raises(Forbidden):
                write(reader, "a/y", b"content")
            with pytest.raises(Forbidden):
                read(opened["a"], "b/x")
        opened["a"].close()
        assert read(opened["b"], "b/x") == b"b"
        with pytest.raises(Unavailable):
            opened["a"].stat("a/x")
        opened["b"].close()
