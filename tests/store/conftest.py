"""``--store NAME`` runs the conformance suite on one store only; a local store to look into."""

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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--store", default="", help="run store conformance on this store only")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a local store may be; not there yet, nor what is above."""
    return tmp_path / "some" / "where" / "store"


@pytest.fixture
def store(root: Path) -> Iterator[LocalStore]:
    made = LocalStore(root)
    yield made
    made.close()
