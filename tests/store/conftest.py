"""``--store NAME`` runs the conformance suite on one store only."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--store", default="", help="run store conformance on this store only")
