"""A configuration file for the data of a demo, for commands that take one."""

from __future__ import annotations

from pathlib import Path


def configuration(data: Path) -> Path:
    """Write, beside the demo's folder ``data``, the settings that the demo itself has."""
    file = data.parent / f"{data.name}.toml"
    file.write_text(
        f"""
[store]
kind = "local"
path = "{data / "store"}"

[state]
path = "{data / "state.db"}"

[keys]
kek_file = "{data / "kek"}"

[tenant]
id = "demo"
username = "demo"
secret_file = "{data / "password"}"
"""
    )
    return file
