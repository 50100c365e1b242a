"""``storj-bridge serve``: the service, from a configuration."""

from __future__ import annotations

from pathlib import Path

import click

from bridge.cli.options import config_option
from bridge.cli.output import in_words, json_option, say
from bridge.serve.service import Started, run_service
from bridge.settings import load


@click.command()
@config_option
@json_option
def serve(file: Path, *, as_json: bool) -> None:
    """Serve files until SIGTERM or SIGINT."""
    with in_words(as_json=as_json):
        settings = load(file)

        def told(started: Started) -> None:
            facts: dict[str, object] = {"webdav_url": started.webdav_url, "pid": started.pid}
            if started.admin_url is not None:
                facts["admin_url"] = started.admin_url
            say(facts, f"Serving {started.webdav_url}", as_json=as_json)

        run_service(settings, told)
