"""``python -m bench.network``: the bridge and its peers on a real Storj network."""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from bench.__main__ import SOURCE, by_name, say
from bench.client import Source
from bench.facts import machine_facts
from bench.network import peers
from bench.network.measure import Session
from bench.network.plan import LARGE, QUICK, Sizes, Workload
from bench.network.report import NetworkFigures, as_markdown
from bench.process import stop_by_sigterm
from tests.network.client import PEERS, Network


@click.command()
@click.option("--quick", is_flag=True, help="A smoke run: little of each, one round, no delay.")
@click.option("--rounds", type=click.IntRange(1), help="How often each runs (5; quick: 1).")
@click.option(
    "--delay",
    "delays",
    multiple=True,
    type=click.IntRange(0),
    help="Milliseconds added each way; may be given again (0 and 20; quick: 0).",
)
@click.option("--workloads", "chosen", help=f"Which, by comma: {', '.join(Workload)}.")
@click.option("--peers", "names", help="Which, by comma: bridge, rclone, uplink.")
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
    wanted = by_name({workload.value: workload for workload in Workload}, chosen)
    sizes = QUICK if quick else Sizes()
    rounds = rounds or (1 if quick else 5)
    delays = delays or ((0,) if quick else (0, 20))
    source = Source(min(SOURCE, sizes.large))
    figures = {delay: NetworkFigures() for delay in delays}
    with tempfile.TemporaryDirectory(
        prefix="bench-", dir="/dev/shm", ignore_cleanup_errors=True
    ) as name:
        place = Path(name)
        place.chmod(0o755)  # the network's PostgreSQL, started by root, serves as another user
        tempfile.tempdir = name  # the network stores there too
        grant = place / "grant"
        servers = [s for s in peers.servers(grant) if not names or s.name in names.split(",")]
        facts = machine_facts(place, servers, rounds)
        facts["uplink"] = f"storj.io/uplink {peers.uplink_version()}"
        program = peers.build_uplink_copy(place)
        for number in range(rounds):
            for delay in delays:
                with Network(say=say) as network:
                    if delay:
                        network.delay(delay, *PEERS)
                    grant.write_text(network.new_project().grant)
                    grant.chmod(0o600)
                    session = Session(network, sizes, source, wanted)
                    for server in servers:
                        say(f"round {number + 1} of {rounds}, {delay} ms: {server.name} ...")
                        folder = place / f"{server.name}-{delay}-{number}"
                        folder.mkdir()
                        samples = session.of_server(server, folder)
                        figures[delay].take(server.name, samples, wanted)
                    if set(LARGE) & set(wanted) and (not names or "uplink" in names.split(",")):
                        say(f"round {number + 1} of {rounds}, {delay} ms: uplink ...")
                        samples = session.of_uplink(program, grant, "uplink")
                        figures[delay].take("uplink", samples, wanted)
    say("")
    text = "# The bridge beside its peers, on a Storj network\n\n"
    text += "\n".join(f"- {name}: {value}" for name, value in facts.items()) + "\n"
    for delay, got in figures.items():
        text += f"\n## {f'{delay} ms each way' if delay else 'Loopback'}\n\n"
        text += as_markdown(got, sizes, wanted)
    click.echo(text)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        stem = out / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-network"
        stem.with_suffix(".md").write_text(text)
        as_json = {delay: got.samples_as_json() for delay, got in figures.items()}
        stem.with_suffix(".json").write_text(json.dumps(as_json, indent=1) + "\n")
    sys.exit(1 if any(got.subject_failed for got in figures.values()) else 0)


if __name__ == "__main__":
    main()
