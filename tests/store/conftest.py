"""Which stores the conformance suite runs on; a local store to look into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite(
    "tests.store.conformance_changes",
    "tests.store.conformance_content",
    "tests.store.conformance_listing",
    "tests.store.conformance_multipart",
)

from bridge.store.local import LocalStore  # noqa: E402 - after the line above

SUITE = Path(__file__).parent / "test_conformance.py"
STORJ_SUITE = SUITE.parent / "storj" / SUITE.name


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--store``, deselect the conformance suite on every other store."""
    only = config.getoption("--store")
    others = [item for item in items if only and _conforming(item) not in (None, only)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def _conforming(item: pytest.Item) -> str | None:
    """The store whose conformance ``item`` tests, None if it is another kind of test."""
    if item.path == STORJ_SUITE:
        return "storj"
    if item.path == SUITE and isinstance(item, pytest.Function):
        return str(item.callspec.params["store"])
    return None


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a local store may be; not there yet, nor what is above."""
    return tmp_path / "some" / "where" / "store"


@pytest.fixture
def store(root: Path) -> Iterator[LocalStore]:
    made = LocalStore(root)
    yield made
    made.close()
