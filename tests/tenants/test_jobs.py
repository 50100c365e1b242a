"""Jobs: how often they are tried, and that one tenant's do not hold up another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bridge.state.database import DatabaseState, open_state
from bridge.store.api import Unavailable
from bridge.tenants.job_rows import CLAIMED, COPY, REVOKE, Job, JobRows, new_job
from bridge.tenants.jobs import CLAIM, FIRST_PAUSE, LONGEST_PAUSE, Jobs
from bridge.tenants.work import LATE


@dataclass
class Scene:
    """Jobs of several tenants; those of ``away`` fail."""

    rows: JobRows
    jobs: Jobs
    now: float = 1_000_000.0
    away: set[str] = field(default_factory=set)
    tried: list[str] = field(default_factory=list)

    def work(self, job: Job, _go_on: Callable[[], None]) -> None:
        self.tried.append(job.tenant)
        if job.tenant in self.away:
            raise Unavailable("the satellite is away")

    def tried_now(self) -> list[str]:
        """Whose jobs one round tries."""
        self.tried.clear()
        self.jobs.run_due()
        return list(self.tried)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[DatabaseState]:
    with open_state(tmp_path / "state.db") as opened:
        yield opened


@pytest.fixture
def scene(state: DatabaseState) -> Scene:
    scene: Scene

    def clock() -> float:
        return scene.now

    def work(job: Job, go_on: Callable[[], None]) -> None:
        scene.work(job, go_on)

    rows = JobRows(state.rows, clock)
    scene = Scene(rows, Jobs(rows, {COPY: work, REVOKE: work}, clock, clock))
    return scene


def test_of_a_tenant_that_fails_one_job_is_tried_and_later_each_time(scene: Scene) -> None:
    for tenant in ("away", "here", "away", "here", "away"):
        scene.rows.add(new_job(REVOKE, tenant, b"", b""))
    scene.away = {"away"}
    assert sorted(scene.tried_now()) == ["away", "here", "here"]
    pauses = []
    for _ in range(12):
        began = scene.now
        while not scene.tried_now():
            scene.now += 1
        assert scene.tried == ["away"]  # however many others of its jobs are due
        pauses.append(scene.now - began)
    assert pauses == sorted(pauses)
    assert pauses[0] >= FIRST_PAUSE
    assert pauses[-1] == LONGEST_PAUSE


def test_a_tenant_whose_store_is_back_has_all_its_jobs_done(scene: Scene) -> None:
    for _ in range(3):
        scene.rows.add(new_job(REVOKE, "away", b"", b""))
    scene.away = {"away"}
    scene.jobs.run_due()
    scene.away.clear()
    assert scene.tried_now() == []
    scene.now += LONGEST_PAUSE
    assert scene.tried_now() == ["away"] * 3
    assert scene.rows.of("away") == []


YEAR = 365 * 86_400.0


@pytest.mark.parametrize("wrong", [YEAR, -YEAR], ids=["ahead", "behind"])
def test_a_clock_that_was_wrong_for_a_moment_holds_up_no_job(scene: Scene, wrong: float) -> None:
    own = 0.0  # goes on as time does
    jobs = Jobs(scene.rows, {REVOKE: scene.work}, lambda: scene.now, lambda: own)
    scene.away = {"acme"}
    scene.now += wrong
    scene.rows.add(new_job(REVOKE, "acme", b"", b""))
    assert jobs.run_due() == 0
    scene.now -= wrong
    scene.away.clear()
    own += LONGEST_PAUSE
    scene.now += LONGEST_PAUSE
    assert jobs.run_due() == 1
    assert scene.rows.of("acme") == []


def test_what_a_process_took_that_died_by_a_wrong_clock_is_taken_over(scene: Scene) -> None:
    scene.rows.add(new_job(REVOKE, "acme", b"", b""))
    scene.now += YEAR
    (job,) = scene.rows.of("acme")
    assert scene.rows.put_off(job, replace(job, due=scene.now + CLAIM, note=CLAIMED))
    assert scene.tried_now() == []
    scene.now -= YEAR
    assert scene.tried_now() == ["acme"]
    assert scene.rows.of("acme") == []


def test_what_rests_by_right_is_left_alone(scene: Scene) -> None:
    """The second look after a purge rests for longer than any job that failed."""
    scene.rows.add(new_job(REVOKE, "acme", b"", b"", due=scene.now + LATE))
    scene.now -= 60  # another process's clock
    assert scene.tried_now() == []
    scene.now += 60 + LATE
    assert scene.tried_now() == ["acme"]


def test_a_copy_takes_the_place_of_one_that_waits(scene: Scene) -> None:
    first, second, other = new_job(COPY, "a"), new_job(COPY, "a"), new_job(COPY, "b")
    scene.rows.add(new_job(REVOKE, "a", b"", b""))
    for job in (first, other, second):
        scene.rows.replace_waiting(job)
    assert sorted(job.kind for job in scene.rows.of("a")) == [COPY, REVOKE]
    assert second in scene.rows.of("a")
    assert scene.rows.of("b") == [other]


def test_a_copy_that_is_being_written_is_followed_by_another(scene: Scene) -> None:
    first, second = new_job(COPY, "a"), new_job(COPY, "a")
    scene.rows.replace_waiting(first)
    done = []

    def change_meanwhile(_job: Job, _go_on: Callable[[], None]) -> None:
        done.append(_job.id)
        if len(done) == 1:
            scene.rows.replace_waiting(second)

    jobs = Jobs(scene.rows, {COPY: change_meanwhile}, lambda: scene.now)
    jobs.run_due()
    jobs.run_due()
    assert done == [first.id, second.id]
    assert scene.rows.of("a") == []
