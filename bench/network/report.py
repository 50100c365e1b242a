"""The figures of a network at one distance, as tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from bench.network.measure import NetworkSample
from bench.network.plan import TARGETS, Sizes, Workload
from bench.plan import MIB
from bench.report import SUBJECT, Figures, middle, spread, table

NetworkFigures = Figures[Workload, NetworkSample]


def as_markdown(figures: NetworkFigures, sizes: Sizes, wanted: Sequence[Workload]) -> str:
    sections = [f"### Targets\n\n{_targets(figures, sizes, wanted)}"]
    for workload in wanted:
        body = _figures(figures, sizes, workload)
        sections.append(f"### {sizes.title(workload)}\n\n{body}")
    if figures.failures:
        lines = "\n".join(f"- {line}" for line in figures.failures)
        sections.append(f"### Failed\n\n{lines}")
    return "\n\n".join(sections) + "\n"


def _figures(figures: NetworkFigures, sizes: Sizes, workload: Workload) -> str:
    requests = sizes.requests(workload)
    columns: Mapping[str, Callable[[str, list[NetworkSample]], str]] = {
        workload.unit: lambda _, got: spread([s.value for s in got], _decimals(got)),
        "bridge by it": lambda name, _: (
            "" if name == SUBJECT else spread(figures.ratios(workload, name), 3)
        ),
        "server CPU s": lambda _, got: middle([s.server_cpu for s in got], 2),
        "client CPU share": lambda _, got: middle([s.client_share for s in got], 2),
        "peak memory MiB": lambda _, got: middle([s.server_peak / MIB for s in got], 0),
        "satellite round trips a request": lambda _, got: _each(
            [s.round_trips and sum(s.round_trips.values()) for s in got], requests
        ),
        "tokens a request": lambda _, got: _each([s.tokens for s in got], requests),
    }
    rows = [
        [name, *(cell(name, got) for cell in columns.values())]
        for name in figures.samples
        if (got := figures.good(name, workload))
    ]
    return table(["server", *columns], rows)


def _each(counts: Sequence[int | None], requests: int) -> str:
    known = [count / requests for count in counts if count is not None]
    return middle(known, 2) if known else "-"


def _decimals(got: list[NetworkSample]) -> int:
    return 1 if statistics.median(s.value for s in got) < 200 else 0


def _targets(figures: NetworkFigures, sizes: Sizes, wanted: Sequence[Workload]) -> str:
    rows = []
    for target in TARGETS:
        if target.workload not in wanted:
            continue
        ratios = figures.ratios(target.workload, target.peer, target.figure)
        verdict = target.verdict(statistics.median(ratios)) if ratios else "not run"
        title = sizes.title(target.workload) + (f", {target.name}" if target.name else "")
        rows.append([title, target.peer, target.rule, spread(ratios, 3), verdict])
    return table(["workload", "peer", "asked: bridge by peer", "ratio", "verdict"], rows)
