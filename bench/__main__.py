"""``python -m bench``: the bridge and its peers side by side; README.md says how to read it."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

from bench.client import Source
from bench.facts import machine_facts, small_get_client
from bench.measure import Sample, large_files, small_files
from bench.plan import LARGE, MIB, QUICK, Sizes, Workload
from bench.process import stop_by_sigterm
from bench.report import Outcome, as_json, as_markdown
from bench.servers import Server, known_servers

SOURCE = 64 * MIB

Samples = Iterator[tuple[Workload, Sample]]
Named = TypeVar("Named")


@click.command()
@click.option("--quick", is_flag=True, help="A smoke run: little of each, one round.")
@click.option("--rounds", type=click.IntRange(1), help="How often each server runs (5; quick: 1).")
@click.option(
    "--servers", "names", help="Which, by comma; all that this machine has when not given."
)
@click.option("--workloads", "chosen", help=f"Which, by comma: {', '.join(Workload)}.")
@click.option("--large", type=click.IntRange(1), help="MiB of the large file (1024; quick: 64).")
@click.option("--files", type=click.IntRange(1), help="Small files (10000; quick: 500).")
@click.option(
    "--disk",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Keep the files below this folder instead of in memory (/dev/shm).",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write the tables there, as Markdown and JSON.",
)
def main(
    quick: bool,
    rounds: int | None,
    names: str | None,
    chosen: str | None,
    large: int | None,
    files: int | None,
    disk: Path | None,
    out: Path | None,
) -> None:
    """Measure the bridge beside its peers, in interleaved runs. Exits 1 when the bridge fails."""
    stop_by_sigterm()
    known = known_servers()
    wanted = pick({server.name: server for server in known}, names)
    workloads = pick({workload.value: workload for workload in Workload}, chosen)
    sizes = QUICK if quick else Sizes()
    sizes = replace(sizes, large=large * MIB if large else sizes.large, files=files or sizes.files)
    rounds = rounds or (1 if quick else 5)
    with tempfile.TemporaryDirectory(
        prefix="bench-", dir=disk or "/dev/shm", ignore_cleanup_errors=True
    ) as place:
        Path(place).chmod(0o755)  # Apache, started by root, serves as another user
        facts = machine_facts(Path(place), wanted, rounds)
        facts["small GET client"] = small_get_client()
        outcome = Outcome(facts=facts, sizes=sizes, workloads=workloads)
        outcome.not_run = [f"{s.name}: needs {s.needs}" for s in wanted if s.version is None]
        _measure([s for s in wanted if s.version is not None], outcome, rounds, Path(place))
    text = as_markdown(outcome)
    click.echo(text)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        stem = out / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{'disk' if disk else 'memory'}"
        stem.with_suffix(".md").write_text(text)
        stem.with_suffix(".json").write_text(json.dumps(as_json(outcome), indent=1) + "\n")
    sys.exit(1 if outcome.subject_failed else 0)


def pick(known: Mapping[str, Named], names: str | None) -> list[Named]:
    """The values that ``names`` picks, in the order of ``known``; all when it is None."""
    picked = set(names.split(",")) if names is not None else set(known)
    if unknown := picked - set(known):
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    return [value for name, value in known.items() if name in picked]


def _measure(servers: list[Server], outcome: Outcome, rounds: int, place: Path) -> None:
    """Fill ``outcome``: round by round, group by group, the servers in turn."""
    sizes, wanted = outcome.sizes, outcome.workloads
    source = Source(min(SOURCE, sizes.large))

    def large(server: Server, folder: Path) -> Samples:
        return large_files(server, folder, sizes, source)

    def small(server: Server, folder: Path) -> Samples:
        return small_files(server, folder, sizes, wanted)

    groups: list[tuple[set[Workload], Callable[[Server, Path], Samples]]] = [
        (set(LARGE) & set(wanted), large),
        (set(wanted) - set(LARGE), small),
    ]
    for number in range(rounds):
        for group, run in groups:
            for server in servers if group else ():
                say(f"round {number + 1} of {rounds}: {server.name} ...")
                with tempfile.TemporaryDirectory(dir=place, ignore_cleanup_errors=True) as name:
                    Path(name).chmod(0o755)
                    outcome.take(server.name, run(server, Path(name)), sorted(group))
    say("")


def say(progress: str) -> None:
    """Show on a terminal what is being done, in the place of what was."""
    if sys.stderr.isatty():
        print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
