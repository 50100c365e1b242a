"""The rclone program with the demo as its remote ``bridge:``."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.clients.programs import run
from tests.processes import Demo
from tests.tools import require_tool


class Rclone:
    """rclone, configured by its environment alone. ``vendor`` is the remote's dialect.

    Its caches stay below ``home``.
    """

    def __init__(self, demo: Demo, home: Path, vendor: str = "other") -> None:
        self.program = require_tool("rclone")
        obscured = run([self.program, "obscure", demo.password]).stdout.strip()
        self.environment = {
            "RCLONE_CONFIG": str(home / "rclone.conf"),
            "RCLONE_CACHE_DIR": str(home / "rclone-cache"),
            "RCLONE_CONFIG_BRIDGE_TYPE": "webdav",
            "RCLONE_CONFIG_BRIDGE_URL": demo.url,
            "RCLONE_CONFIG_BRIDGE_VENDOR": vendor,
            "RCLONE_CONFIG_BRIDGE_USER": demo.username,
            "RCLONE_CONFIG_BRIDGE_PASS": obscured,
            # rclone waits 10 ms between requests by itself, which makes many small files slow.
            "RCLONE_CONFIG_BRIDGE_PACER_MIN_SLEEP": "100us",
            # A refused request must show at once, not after ten attempts.
            "RCLONE_LOW_LEVEL_RETRIES": "1",
            "RCLONE_RETRIES": "1",
        }
        (home / "rclone.conf").touch()

    def __call__(
        self, *arguments: str | Path, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run one command, and fail with all it said unless it succeeds (when ``check``)."""
        return run([self.program, *arguments], env=self.environment, check=check)
