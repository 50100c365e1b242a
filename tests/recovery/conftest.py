"""The stock tools of a recovery."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.network.errors import GoMissing, NetworkError
from tests.recovery.uplink_cli import folder_of_uplink
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
