"""``python -m bridge`` is ``storj-bridge``."""

from __future__ import annotations

from bridge.cli import main

main(prog_name="storj-bridge")
