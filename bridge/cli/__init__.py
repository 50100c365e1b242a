"""The command line, one module for each command. Exit codes are in ``output``."""

from __future__ import annotations

import click

from bridge import __version__
from bridge.cli.check import check
from bridge.cli.credential import credential
from bridge.cli.demo import demo
from bridge.cli.export import export
from bridge.cli.fsck import fsck
from bridge.cli.init import init
from bridge.cli.keys import keys
from bridge.cli.output import Commands
from bridge.cli.recover import recover
from bridge.cli.serve import serve
from bridge.cli.tenant import tenant
from bridge.cli.token import token
from bridge.cli.usage import usage


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="storj-bridge")
def main() -> None:
    """An encrypted file store for WebDAV clients."""


for _command in (
    demo,
    serve,
    init,
    check,
    fsck,
    export,
    tenant,
    credential,
    token,
    usage,
    keys,
    recover,
):
    main.add_command(_command)
