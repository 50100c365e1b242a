"""Running other programs: by list of arguments, with a limit of time and an account of failure."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

LIMIT = 300
"""Seconds a program may take."""


def run(
    arguments: Sequence[str | Path],
    *,
    text: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    limit: float = LIMIT,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a program with ``text`` as its standard input, and ``env`` over this process's own.

    Fails with all it wrote when ``check`` and it does not exit with 0.
    """
    done = subprocess.run(
        [str(argument) for argument in arguments],
        input=text,
        text=True,
        errors="replace",
        capture_output=True,
        timeout=limit,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        check=False,
    )
    if check:
        said = f"{arguments} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, said
    return done
