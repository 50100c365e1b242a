"""``storj-bridge demo``: everything embedded, nothing to configure."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from bridge.app import secret_of, told
from bridge.cli.identity import identity_file
from bridge.cli.mounting import how_to_mount
from bridge.cli.output import in_words, json_option, say
from bridge.serve.service import Started, run_service
from bridge.settings import Settings, load
from bridge.stores import CannotOpen
from bridge.tenants.api import Administration
from bridge.tenants.secret_files import SecretFileError, read_or_make, read_secret
from bridge.tenants.sign_in import new_secret

USERNAME = "demo"

BUCKET = "storj-bridge-demo"


@click.command()
@click.option(
    "--listen",
    default="127.0.0.1:8080",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen; port 0 takes a free one.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("storj-bridge-data"),
    show_default=True,
    help="Where files, keys and database are kept.",
)
@click.option(
    "--storj-grant-file",
    "grant",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the files on Storj instead, with the access grant in this file.",
)
@click.option(
    "--storj-bucket",
    "bucket",
    default=BUCKET,
    show_default=True,
    help="The bucket on Storj; made if it is missing.",
)
@json_option
def demo(listen: str, data: Path, grant: Path | None, bucket: str, *, as_json: bool) -> None:
    """Try it: an encrypted WebDAV store on this machine's disk, or on Storj.

    Started again on the same --data it has the same files, credentials and keys.
    """
    with in_words(as_json=as_json):
        data = data.expanduser().absolute()
        store: dict[str, object] = {"kind": "local", "path": data / "store"}
        if grant is not None:
            grant = grant.expanduser().absolute()
            store = {"kind": "storj", "bucket": bucket, "grant_file": grant}
        settings, password = _prepare(listen, data, store)
        place = f"{data}" if grant is None else f"bucket {bucket} on Storj, the keys in {data}"

        token = ""

        def ready(started: Started) -> None:
            url = started.webdav_url
            facts: dict[str, object] = {
                "webdav_url": url,
                "username": USERNAME,
                "password": password,
                "pid": started.pid,
                "data": str(data),
            }
            words = (
                f"Files are kept encrypted in {place}\n\n{how_to_mount(url, USERNAME, password)}"
            )
            facts |= {"admin_url": started.admin_url, "admin_token": token}
            if (made := started.made) is not None:
                facts |= asdict(made)
                words += (
                    "\nRecovery identity, shown this once, under the vault's fingerprint:\n\n"
                    f"{identity_file(made.recovery_identity, made.fingerprint)}\n\n"
                    "It opens every file with the stock age tool, without this program:\n"
                    "docs/recovery.md says how.\n"
                )
            say(facts, words + "\nStop with Ctrl-C.", as_json=as_json)

        def prepare(administration: Administration) -> None:
            nonlocal token
            try:
                with told():
                    token = _token(administration, data / "admin-token")
            except SecretFileError as error:
                raise CannotOpen(str(error)) from None

        run_service(settings, ready, create=True, prepare=prepare)


def _token(administration: Administration, file: Path) -> str:
    """The operator's token of the demo; another one where the database does not know it."""
    if file.exists():
        text = read_secret(file)
        if administration.token(text) is not None:
            return text
        file.unlink()
    return read_or_make(file, lambda: administration.create_token("demo").text)


def _prepare(listen: str, data: Path, store: dict[str, object]) -> tuple[Settings, str]:
    """The demo's settings on ``data``, and its password; makes what is missing."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        read_or_make(data / "password", new_secret)
        settings = load(
            None,
            {
                "listen": {"address": listen},
                "store": store,
                "state": {"path": data / "state.db"},
                "keys": {"kek_file": data / "kek"},
                "admin": {"address": "127.0.0.1:0"},
                "tenant": {"id": USERNAME, "secret_file": data / "password"},
            },
        )
    except OSError as error:
        raise CannotOpen(f"{data}: {error.strerror}; choose a folder with --data") from None
    except SecretFileError as error:
        raise CannotOpen(str(error)) from None
    return settings, secret_of(settings)  # the environment may have another
