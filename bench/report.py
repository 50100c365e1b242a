"""The outcome as a table for people (Markdown) and for programs (JSON)."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http.client import HTTPException
from typing import Any, Generic, TypeVar

from bench.measure import Sample
from bench.plan import LARGE, MIB, TARGETS, Sizes, Workload
from bench.process import ServerFailed

SUBJECT = "bridge"


W = TypeVar("W", bound=str)
S = TypeVar("S", bound=Sample)


@dataclass(slots=True)
class Figures(Generic[W, S]):
    """What the servers did in all rounds.

    ``samples[server][workload][round]``; a round that failed is None, so that rounds stay paired.
    """

    samples: dict[str, dict[W, list[S | None]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    subject_failed: bool = False

    def take(self, server: str, samples: Iterable[tuple[W, S]], wanted: Iterable[W]) -> None:
        """Keep the samples of one server in one round; what it does not deliver is None."""
        got: dict[W, S] = {}
        try:
            for workload, sample in samples:  # one by one: what came before a failure counts
                got[workload] = sample  # noqa: PERF403
        except (ServerFailed, OSError, HTTPException) as error:
            self.failures.append(f"{server}: {type(error).__name__}: {error}")
            self.subject_failed |= server == SUBJECT
        kept = self.samples.setdefault(server, {})
        for workload in wanted:
            kept.setdefault(workload, []).append(got.get(workload))

    def good(self, server: str, workload: W) -> list[S]:
        return [s for s in self.samples.get(server, {}).get(workload, []) if s is not None]

    def ratios(
        self, workload: W, peer: str, figure: Callable[[S], float] = lambda sample: sample.value
    ) -> list[float]:
        """The bridge's figure by the peer's, for each round in which both have one."""
        ours = self.samples.get(SUBJECT, {}).get(workload, [])
        theirs = self.samples.get(peer, {}).get(workload, [])
        pairs = zip(ours, theirs, strict=False)
        return [figure(a) / figure(b) for a, b in pairs if a is not None and b is not None]

    def samples_as_json(self) -> dict[str, dict[W, list[dict[str, Any] | None]]]:
        return {
            server: {
                workload: [None if sample is None else asdict(sample) for sample in rounds]
                for workload, rounds in by_workload.items()
            }
            for server, by_workload in self.samples.items()
        }


@dataclass(slots=True, kw_only=True)
class Outcome(Figures[Workload, Sample]):
    """All that a run found out."""

    facts: dict[str, str]
    sizes: Sizes
    workloads: Sequence[Workload]
    not_run: list[str] = field(default_factory=list)


def spread(values: Sequence[float], decimals: int) -> str:
    """``min-median-max``, or a dash for nothing."""
    if not values:
        return "-"
    middle = statistics.median(values)
    return "-".join(f"{value:.{decimals}f}" for value in (min(values), middle, max(values)))


def as_json(outcome: Outcome) -> dict[str, object]:
    return {
        "facts": outcome.facts,
        "sizes": asdict(outcome.sizes),
        "samples": outcome.samples_as_json(),
        "targets": [
            {
                "workload": target.workload,
                "peer": target.peer,
                "rule": target.rule,
                "ratio": statistics.median(ratios),
                "verdict": target.verdict(statistics.median(ratios)),
            }
            for target in TARGETS
            if (ratios := outcome.ratios(target.workload, target.peer))
        ],
        "failures": outcome.failures,
        "not_run": outcome.not_run,
    }


def as_markdown(outcome: Outcome) -> str:
    sizes = outcome.sizes
    sections = [
        "# The bridge beside its peers",
        "\n".join(f"- {name}: {value}" for name, value in outcome.facts.items()),
        "Every figure is min-median-max over the rounds.",
    ]
    for workload in outcome.workloads:
        body = _workload_table(outcome, workload)
        sections.append(f"## {sizes.title(workload)}\n\n{body}")
    sections.append(f"## Targets\n\n{_targets_table(outcome)}")
    if outcome.failures:
        lines = "\n".join(f"- {line}" for line in outcome.failures)
        sections.append(f"## Failed\n\n{lines}")
    if outcome.not_run:
        lines = "\n".join(f"- {line}" for line in outcome.not_run)
        sections.append(f"## Not run\n\n{lines}")
    return "\n\n".join(sections) + "\n"


def _workload_table(outcome: Outcome, workload: Workload) -> str:
    work, per = _work_unit(outcome.sizes, workload)
    columns: Mapping[str, Callable[[str, list[Sample]], str]] = {
        workload.unit: lambda _, got: spread([s.value for s in got], workload.decimals),
        "bridge by it": lambda name, _: (
            "" if name == SUBJECT else spread(outcome.ratios(workload, name), 2)
        ),
        f"server CPU s per {per}": lambda _, got: middle([s.server_cpu / work(s) for s in got], 2),
        "client CPU share": lambda _, got: middle([s.client_share for s in got], 2),
        "peak memory MiB": lambda _, got: middle([s.server_peak / MIB for s in got], 0),
    }
    rows = [
        [name, *(cell(name, got) for cell in columns.values())]
        for name in outcome.samples
        if (got := outcome.good(name, workload))
    ]
    return table(["server", *columns], rows)


def _work_unit(sizes: Sizes, workload: Workload) -> tuple[Callable[[Sample], float], str]:
    """How many units of work a sample holds, and the unit's name."""
    if workload in LARGE:
        return lambda _: sizes.large / (1024 * MIB), "GiB"
    if workload is Workload.SMALL_PUT:
        return lambda _: sizes.files / 1000, "1,000"
    if workload is Workload.SMALL_GET:
        return lambda sample: sample.value * sizes.get_seconds / 1000, "1,000"
    count = 1 if workload is Workload.LIST_COLD else sizes.warm_listings
    return lambda _: count, "listing"


def _targets_table(outcome: Outcome) -> str:
    rows = []
    for target in TARGETS:
        if target.workload not in outcome.workloads:
            continue
        ratios = outcome.ratios(target.workload, target.peer)
        verdict = target.verdict(statistics.median(ratios)) if ratios else "not run"
        title = outcome.sizes.title(target.workload)
        rows.append([title, target.peer, target.rule, spread(ratios, 2), verdict])
    return table(["workload", "peer", "asked: bridge by peer", "ratio", "verdict"], rows)


def middle(values: Sequence[float], decimals: int) -> str:
    return f"{statistics.median(values):.{decimals}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "(no figures)"
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in [head, ["-" * w for w in widths], *rows]
    ]
    return "\n".join(lines)
