"""A configuration file for the data of a demo, for commands that take one."""

from __future__ import annotations

from pathlib import Path

from tests.clients.demos import StorjDemo
from tests.processes import Demo


def configuration(demo: Demo) -> Path:
    """Write, beside the demo's folder, the settings that the demo itself has."""
    data = demo.data
    store = f'kind = "local"\npath = "{data / "store"}"'
    if isinstance(demo, StorjDemo):
        store = f'kind = "storj"\nbucket = "{demo.bucket}"\ngrant_file = "{demo.grant}"'
    file = data.parent / f"{data.name}.toml"
    file.write_text(
        f"""
[store]
{store}

[state]
path = "{data / "state.db"}"

[keys]
kek_file = "{data / "kek"}"

[tenant]
id = "demo"
secret_file = "{data / "password"}"
"""
    )
    return file
