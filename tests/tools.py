"""Programs from outside that some tests need.

A test names the program it needs. Where it is missing the test skips, saying so; under
``REQUIRE_TOOLS=1``, as continuous integration sets it, it fails instead, so that a missing
package cannot pass for a green run.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def require_tool(name: str, *alternatives: str) -> str:
    """The path of the program ``name``, or of the first of ``alternatives`` that is there.

    The environment variable ``<NAME>`` in capitals (``RCLONE`` for ``rclone``) may name it too.
    """
    for candidate in (name, *alternatives):
        named = os.environ.get(candidate.upper().replace("-", "_").replace(".", "_"))
        if named and Path(named).is_file() and os.access(named, os.X_OK):
            return named
        # sbin holds mount.davfs and apache2, and is not on every user's path.
        path = shutil.which(candidate) or shutil.which(candidate, path="/usr/sbin:/sbin")
        if path is not None:
            return path
    return missing(" or ".join((name, *alternatives)))


def missing(what: str) -> NoReturn:
    """Skip the running test because ``what`` is not on this machine, or fail where it must be."""
    if os.environ.get("REQUIRE_TOOLS") == "1":
        pytest.fail(f"{what} is needed here (REQUIRE_TOOLS=1) and is not installed", pytrace=False)
    pytest.skip(f"needs {what}, which is not installed")
