"""``python -m bench.network``: the bridge and its peers on a real Storj network."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from bench.__main__ import SOURCE, pick, say
from bench.client import Source
from bench.facts import machine_facts
from bench.network.measure import Samples, Session
from bench.network.peers import build_uplink_copy, servers, uplink_version
from bench.network.plan import LARGE, QUICK, Sizes, Workload
from bench.network.report import NetworkFigures, Outcome, as_json, as_markdown
from bench.process import ServerFailed, stop_by_sigterm
from tests.network.client import PEERS, Network
from tests.network.errors import NetworkError

UPLINK = "uplink"

Peer = Callable[[Session, Path], Samples]
"""Runs one; it gets an empty folder, whose name is its bucket's."""


@click.command()
@click.option("--quick", is_flag=True, help="A smoke run: little of each, one round, no delay.")
@click.option("--rounds", type=click.IntRange(1), help="How often each peer runs (5; quick: 1).")
@click.option(
    "--delay",
    "delays",
    multiple=True,
    type=click.IntRange(0),
    help="Milliseconds added each way; may be given again (0 and 20; quick: 0).",
)
@click.option("--workloads", "chosen", help=f"Which, by comma: {', '.join(Workload)}.")
@click.option("--peers", "names", help=f"Which, by comma: bridge, rclone, {UPLINK}.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write the tables there, as Markdown and JSON.",
)
def main(
    quick: bool,
    rounds: int | None,
    delays: tuple[int, ...],
    chosen: str | None,
    names: str | None,
    out: Path | None,
) -> None:
    """Measure the bridge on a Storj network beside its peers. Exits 1 when the bridge fails."""
    stop_by_sigterm()
    rounds = rounds or (1 if quick else 5)
    outcome = Outcome(
        facts={},
        sizes=QUICK if quick else Sizes(),
        workloads=pick({workload.value: workload for workload in Workload}, chosen),
        figures={delay: NetworkFigures() for delay in delays or ((0,) if quick else (0, 20))},
        not_run=[],
    )
    with tempfile.TemporaryDirectory(
        prefix="bench-", dir="/dev/shm", ignore_cleanup_errors=True
    ) as name:
        place = Path(name)
        place.chmod(0o755)  # the network's PostgreSQL, started by root, serves as another user
        tempfile.tempdir = name  # the network stores there too
        grant = place / "grant"
        known = servers(grant)
        outcome.facts = machine_facts(place, known, rounds) | {UPLINK: uplink_version()}
        outcome.not_run = [f"{s.name}: needs {s.needs}" for s in known if s.version is None]
        picked = pick({name: name for name in (*(s.name for s in known), UPLINK)}, names)
        try:
            peers: dict[str, Peer] = {
                server.name: partial(Session.of_server, server=server)
                for server in known
                if server.version is not None and server.name in picked
            }
            if UPLINK in picked and set(LARGE) & set(outcome.workloads):
                program = build_uplink_copy(place)
                peers[UPLINK] = partial(Session.of_uplink, program=program, grant_file=grant)
            for number in range(1, rounds + 1):
                for delay in outcome.figures:
                    title = f"round {number} of {rounds}, {delay} ms"
                    _measure(peers, outcome, delay, grant, title)
        except (ServerFailed, NetworkError) as error:
            raise click.ClickException(str(error)) from error
    say("")
    text = as_markdown(outcome)
    click.echo(text)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        stem = out / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-network"
        stem.with_suffix(".md").write_text(text)
        stem.with_suffix(".json").write_text(json.dumps(as_json(outcome), indent=1) + "\n")
    sys.exit(1 if outcome.subject_failed else 0)


def _measure(
    peers: Mapping[str, Peer], outcome: Outcome, delay: int, grant: Path, title: str
) -> None:
    """One round of all peers, on a network of its own."""
    source = Source(min(SOURCE, outcome.sizes.large))
    with Network(say=say) as network, tempfile.TemporaryDirectory() as place:
        if delay:
            network.delay(delay, *PEERS)
        grant.write_text(network.new_project().grant)
        grant.chmod(0o600)
        session = Session(network, outcome.sizes, source, outcome.workloads)
        for name, run in peers.items():
            say(f"{title}: {name} ...")
            folder = Path(place) / name
            folder.mkdir()
            outcome.figures[delay].take(name, run(session, folder), outcome.workloads)


if __name__ == "__main__":
    main()
