"""One writing connection for a process, with many threads' changes in one transaction.

Transactions that write take turns, and one costs more than the statements in it (a sync, the way to
the database and back). So there is no queue of transactions but one of changes: the first thread to
come leads, and writes what has gathered; when it is done, the first of those who came meanwhile
leads. A lone thread never waits for another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar, cast

from bridge.state.api import StateError, StateUnavailable
from bridge.state.backend import Backend, Connection, Cursor

Result = TypeVar("Result")
Work = Callable[[Cursor, float], Result]
"""A change, given the transaction's cursor and its time in Unix seconds.

It shares its transaction with other threads' changes, so it cannot roll back: it raises
StateError before it has written anything, or not at all.
"""

_LARGEST_BATCH = 64

_abandoned: list[Connection | None] = []


class _Job(Generic[Result]):
    __slots__ = ("done", "error", "gate", "result", "work")

    def __init__(self, work: Work[Result]) -> None:
        self.work = work
        self.gate: threading.Lock | None = None
        self.done = False
        self.result: Result | None = None
        self.error: BaseException | None = None


class Writer:
    """Runs changes, each in a transaction, perhaps together with others."""

    def __init__(self, backend: Backend, wait: float) -> None:
        """``wait``: seconds until a change whose turn has not come is given up."""
        self.errors = backend.errors
        self._backend = backend
        self._wait = wait
        self._mutex = threading.Lock()
        self._queue: list[_Job[object]] = []
        self._led = False
        self._closed = False
        self._connection: Connection | None = None

    def run(self, work: Work[Result]) -> Result:
        """Run ``work``; returns or raises what it does, after the commit.

        Raises StateUnavailable when the database fails; then nothing was changed, unless the
        message says that the outcome is unknown.
        """
        job = _Job(work)
        queued = cast("_Job[object]", job)
        with self._mutex:
            if self._led:
                gate = job.gate = threading.Lock()
                gate.acquire()
                self._queue.append(queued)
            else:
                self._led = True
                gate = None
        if gate is not None:
            self._wait_for(queued, gate)
        if not job.done:
            self._lead(queued)
        if job.error is not None:
            raise job.error
        return cast("Result", job.result)

    def close(self) -> None:
        """Let no change in any more, and close the connection after those that run."""
        with suppress(StateError):
            self.run(self._close_within)
            self._disconnect()

    def abandon(self) -> None:
        """In a forked child: forget the parent's connection, which must not even be closed here."""
        _abandoned.append(self._connection)
        self._connection = None
        self._mutex = threading.Lock()
        self._queue = []
        self._led = False
        self._closed = True

    def _close_within(self, _cursor: Cursor, _now: float) -> None:
        self._closed = True

    def _wait_for(self, job: _Job[object], gate: threading.Lock) -> None:
        """Return when the job is done, or is the one to lead."""
        try:
            woken = gate.acquire(timeout=self._wait)
        except BaseException:
            self._withdraw(job, gate)
            raise
        if not woken:
            if self._withdraw(job, gate):
                raise StateUnavailable(f"the state database was busy for {self._wait} s")
            if not job.done:
                raise StateUnavailable("the state database hangs: the outcome is unknown")

    def _withdraw(self, job: _Job[object], gate: threading.Lock) -> bool:
        """Take a job back that is to wait no longer; False if it is being written or is done."""
        with self._mutex:
            if job in self._queue:
                self._queue.remove(job)
                return True
            if gate.acquire(blocking=False) and not job.done:
                self._pass_lead()
                return True
        return False

    def _lead(self, job: _Job[object]) -> None:
        """Write ``job`` and what has gathered, then hand on."""
        with self._mutex:
            batch = [job, *self._queue[: _LARGEST_BATCH - 1]]
            del self._queue[: _LARGEST_BATCH - 1]
        try:
            self._write(batch)
        finally:
            with self._mutex:
                self._pass_lead()
            for written in batch:
                written.done = True
                if written.gate is not None and written is not job:
                    written.gate.release()

    def _pass_lead(self) -> None:
        if self._queue:
            gate = self._queue.pop(0).gate
            if gate is not None:
                gate.release()
        else:
            self._led = False

    def _write(self, batch: list[_Job[object]]) -> None:
        failure = StateUnavailable("the change beside this one failed")
        try:
            if self._closed:
                failure = StateUnavailable("the state is closed")
            else:
                self._transact(batch)
                return
        except StateUnavailable as error:
            failure = error
            self._disconnect()
        except self._backend.errors as error:
            failure = self._backend.unavailable(error)
            self._disconnect()
        except BaseException:
            self._disconnect()
            self._fail(batch, failure)
            raise
        self._fail(batch, failure)

    def _transact(self, batch: list[_Job[object]]) -> None:
        connection, now = self._begin()
        cursor = connection.cursor
        for job in batch:
            try:
                job.result = job.work(cursor, now)
            except StateError as error:
                job.error = error
            except self._backend.errors:
                raise
            except Exception as error:
                job.error = error
                raise StateUnavailable("a change beside this one has a fault") from error
        connection.commit()

    def _begin(self) -> tuple[Connection, float]:
        """Begin a transaction: on a new connection where ours broke while nobody used it."""
        if self._connection is not None:
            try:
                return self._connection, self._connection.begin()
            except self._backend.errors as error:
                if not self._connection.lost(error):
                    raise
                self._disconnect()
        self._connection = self._backend.connect()
        return self._connection, self._connection.begin()

    def _fail(self, batch: list[_Job[object]], failure: StateUnavailable) -> None:
        for job in batch:
            if job.error is None:
                # One for each: threads that raise one exception would share its traceback.
                job.error = type(failure)(str(failure))

    def _disconnect(self) -> None:
        """Close the connection, which rolls back; the next change opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._backend.errors):
                connection.close()
