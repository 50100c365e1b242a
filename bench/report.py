"""The outcome as a table for people (Markdown) and for programs (JSON)."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from bench.measure import Sample
from bench.plan import LARGE, MIB, TARGETS, Sizes, Workload

SUBJECT = "bridge"


@dataclass(slots=True)
class Outcome:
    """All that a run found out.

    ``samples[server][workload][round]``; a round that failed is None, so that rounds stay paired.
    """

    facts: dict[str, str]
    sizes: Sizes
    workloads: Sequence[Workload]
    samples: dict[str, dict[Workload, list[Sample | None]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    subject_failed: bool = False

    def good(self, server: str, workload: Workload) -> list[Sample]:
        return [s for s in self.samples.get(server, {}).get(workload, []) if s is not None]

    def ratios(self, workload: Workload, peer: str) -> list[float]:
        """The bridge's figure by the peer's, for each round in which both have one."""
        ours = self.samples.get(SUBJECT, {}).get(workload, [])
        theirs = self.samples.get(peer, {}).get(workload, [])
        pairs = zip(ours, theirs, strict=False)
        return [a.value / b.value for a, b in pairs if a is not None and b is not None]


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
        "samples": {
            server: {
                workload: [sample and asdict(sample) for sample in rounds]
                for workload, rounds in by_workload.items()
            }
            for server, by_workload in outcome.samples.items()
        },
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
        table = _workload_table(outcome, workload)
        sections.append(f"## {sizes.title(workload)}\n\n{table}")
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
        f"server CPU s per {per}": lambda _, got: _middle([s.server_cpu / work(s) for s in got], 2),
        "client CPU share": lambda _, got: _middle([s.client_share for s in got], 2),
        "peak memory MiB": lambda _, got: _middle([s.server_peak / MIB for s in got], 0),
    }
    rows = [
        [name, *(cell(name, got) for cell in columns.values())]
        for name in outcome.samples
        if (got := outcome.good(name, workload))
    ]
    return _table(["server", *columns], rows)


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
    return _table(["workload", "peer", "asked: bridge by peer", "ratio", "verdict"], rows)


def _middle(values: Sequence[float], decimals: int) -> str:
    return f"{statistics.median(values):.{decimals}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "(no figures)"
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in [head, ["-" * w for w in widths], *rows]
    ]
    return "\n".join(lines)
