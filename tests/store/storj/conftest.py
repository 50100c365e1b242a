"""What tests of the native library share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from bridge.store.storj import control


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Whatever a test does, everything that was handed out is given back."""
    gc.collect()
    before = control.handles()
    yield
    gc.collect()
    assert control.handles() == before
