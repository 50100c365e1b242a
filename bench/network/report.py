"""The figures of a network at one distance, as tables in Markdown and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from bench.network.measure import NetworkSample
from bench.network.plan import MEMORY_TARGETS, TARGETS, Sizes, Target, Workload
from bench.plan import MIB
from bench.report import SUBJECT, Figures, middle, spread, table

NetworkFigures = Figures[Workload, NetworkSample]


@dataclass(slots=True)
class Outcome:
    """All that a run found out; ``figures`` by the milliseconds of delay each way."""

    facts: dict[str, str]
    sizes: Sizes
    workloads: Sequence[Workload]
    figures: dict[int, NetworkFigures]
    not_run: list[str]

    @property
    def subject_failed(self) -> bool:
        return any(figures.subject_failed for figures in self.figures.values())


def as_json(outcome: Outcome) -> dict[str, object]:
    return {
        "facts": outcome.facts,
        "sizes": asdict(outcome.sizes),
        "delays": {
            delay: {"samples": figures.samples_as_json(), "failures": figures.failures}
            for delay, figures in outcome.figures.items()
        },
        "not_run": outcome.not_run,
    }


def as_markdown(outcome: Outcome) -> str:
    sections = [
        "# The bridge beside its peers on a real Storj network",
        "\n".join(f"- {name}: {value}" for name, value in outcome.facts.items()),
        "Every figure is min-median-max over the rounds.",
    ]
    for delay, figures in outcome.figures.items():
        sections.append(f"## {f'{delay} ms added each way' if delay else 'Nothing added'}")
        sections += _sections(figures, outcome.sizes, outcome.workloads)
    if outcome.not_run:
        lines = "\n".join(f"- {line}" for line in outcome.not_run)
        sections.append(f"## Not run\n\n{lines}")
    return "\n\n".join(sections) + "\n"


def _sections(figures: NetworkFigures, sizes: Sizes, wanted: Sequence[Workload]) -> list[str]:
    run = (figures, sizes, wanted)
    sections = [
        f"### Targets\n\n{_targets(*run, TARGETS, lambda sample: sample.value)}",
        "### Targets for peak resident memory\n\n"
        + _targets(*run, MEMORY_TARGETS, lambda sample: sample.server_peak),
    ]
    for workload in wanted:
        body = _figures(figures, sizes, workload)
        sections.append(f"### {sizes.title(workload)}\n\n{body}")
    if figures.failures:
        lines = "\n".join(f"- {line}" for line in figures.failures)
        sections.append(f"### Failed\n\n{lines}")
    return sections


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
            [None if s.round_trips is None else sum(s.round_trips.values()) for s in got], requests
        ),
        "tokens a request": lambda _, got: _each([s.tokens for s in got], requests),
        "new connections a request": lambda _, got: _each([s.connections for s in got], requests),
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


def _targets(
    figures: NetworkFigures,
    sizes: Sizes,
    wanted: Sequence[Workload],
    targets: Sequence[Target],
    figure: Callable[[NetworkSample], float],
) -> str:
    rows = []
    for target in targets:
        if target.workload not in wanted:
            continue
        ratios = figures.ratios(target.workload, target.peer, figure)
        verdict = target.verdict(statistics.median(ratios)) if ratios else "not run"
        title = sizes.title(target.workload)
        rows.append([title, target.peer, target.rule, spread(ratios, 3), verdict])
    return table(["workload", "peer", "asked: bridge by peer", "ratio", "verdict"], rows)
