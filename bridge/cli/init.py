"""``storj-bridge init``: a commented configuration, keys, and the vault."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import click

from bridge.app import create_vault
from bridge.cli.identity import identity_file
from bridge.cli.output import in_words, json_option, say
from bridge.settings import load
from bridge.stores import CannotOpen
from bridge.tenants.secret_files import SecretFileError, read_or_make
from bridge.tenants.sign_in import new_secret

TEMPLATE = """\
# Storj bridge: the service's configuration. Every setting is in docs/configuration.md.
# Relative paths are relative to this file. Each key can be set in the environment too:
# listen.address is STORJ_BRIDGE_LISTEN__ADDRESS.

[listen]
address = "127.0.0.1:8080"
# Behind a reverse proxy: the URL it is reached by, and the proxy's own address.
# public_url = "https://files.example.com"
# trusted_proxies = ["127.0.0.1"]

# [tls]                       # the bridge's own TLS, instead of a proxy's
# certificate = "cert.pem"    # read again when it changes
# key = "key.pem"

[store]
kind = "local"
path = "store"

# Tenants, tokens, usage, locks. Lost with its disk, tenants come back by storj-bridge recover;
# tokens and usage do not.
[state]
path = "state.db"

[keys]                        # seals the vault's keyrings: without it nothing opens
kek_file = "kek"

[tenant]
id = "main"                   # the user name to sign in with, too
secret_file = "secret"

[log]
level = "info"                # debug shows names of files
"""


@click.command()
@click.option(
    "--config",
    "-c",
    "file",
    type=click.Path(path_type=Path),
    default=Path("bridge.toml"),
    show_default=True,
    help="The configuration to write, or an existing one.",
)
@json_option
def init(file: Path, *, as_json: bool) -> None:
    """Write a configuration and keys, and make the vault; what exists is kept.

    The recovery identity is shown this once and stored nowhere: keep it away from this machine.
    """
    with in_words(as_json=as_json):
        written = _write(file)
        settings = load(file)
        declared = settings.tenant
        try:
            if declared is not None and declared.secret is None and declared.secret_file:
                read_or_make(declared.secret_file, new_secret)
        except SecretFileError as error:
            raise CannotOpen(str(error)) from None
        except OSError as error:
            raise CannotOpen(f"{error.filename}: {error.strerror}") from None
        made = create_vault(settings)
        facts: dict[str, object] = {
            "config": str(file),
            "config_written": written,
            "kek_file": str(settings.keys.kek_file),
            "vault_made": made is not None,
        }
        words = [
            f"Configuration  {file} ({'written' if written else 'kept'})",
            f"Key            {settings.keys.kek_file or 'from the environment'}",
        ]
        if declared is not None:
            facts |= {"username": declared.id, "secret_file": str(declared.secret_file)}
            words += [
                f"User name      {declared.id}",
                f"Password       in {declared.secret_file or 'the environment'}",
                f"Vault          {'kept' if made is None else 'made'}",
            ]
        if made is not None:
            facts |= asdict(made)
            words += [
                "",
                "Recovery identity, shown this once, under the vault's fingerprint:",
                "",
                identity_file(made.recovery_identity, made.fingerprint),
                "",
                "It opens every file with the stock age tool, without this program and its key:",
                "docs/recovery.md says how.",
                "Keep both lines, and a copy of the key, somewhere else.",
            ]
        words += ["", f"Next: storj-bridge check --config {file}"]
        say(facts, "\n".join(words), as_json=as_json)


def _write(file: Path) -> bool:
    """Write the template where there is no file; whether it did."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise CannotOpen(f"{file}: cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as stream:
        stream.write(TEMPLATE)
    return True
