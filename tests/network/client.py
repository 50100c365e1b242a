"""A real Storj network as a process, and the commands that it takes.

The program is in Go, beside this file. It has a satellite and four storage nodes, each behind a
proxy, and ends with this process, however that ends.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any, Self

from tests import secrecy
from tests.network import building
from tests.network.errors import NetworkError
from tests.network.values import BucketState, Project, ProxyState, Requests, Transferred
from tests.postgres import PostgreSQL, PostgreSQLError

START_LIMIT = 120.0
"""Seconds until the network must be there; about two are the rule."""

STOP_LIMIT = 60.0
"""Seconds until a network that was told to end must have ended."""

COMMAND_LIMIT = 120.0
"""Seconds until a command must be answered, but for transfers."""

LOG_TAIL = 6000
"""Bytes of the log's end that go into a message."""

NODES = ("node0", "node1", "node2", "node3")
PEERS = ("satellite", *NODES)
"""Every peer, as ``delay``, ``stall``, ``cut``, ``reset`` and ``restore`` name them."""


class Network:
    """A satellite and four storage nodes; ``with`` starts and ends them.

    With ``production_limits`` its satellite limits requests as Storj's do: 100 a second for a
    project, uploads to one key to 1 a second after a burst of 3. Without, it limits nothing but
    what ``limit`` says.

    Methods may be called by several threads.
    """

    def __init__(
        self, *, production_limits: bool = False, say: Callable[[str], None] = print
    ) -> None:
        self._production_limits = production_limits
        self._say = say
        self._log: IO[bytes] | None = None
        self._postgres: PostgreSQL | None = None
        self._directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._stages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._buckets = itertools.count(1)
        self._pending: dict[int, Future[Any]] = {}
        self.satellite = ""

    @property
    def pid(self) -> int:
        """The process id of the network's program."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        """Build it if need be and start it; afterwards ``satellite`` is its node URL."""
        program = building.program(self._say)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _end
        self._directory = Path(tempfile.mkdtemp(prefix="storj-network-"))
        self._postgres = PostgreSQL(self._directory, self._log)
        try:
            self._run(program)
            self._stage()  # it watches over the directory
            self._postgres.start()
            self._write(b"start\n")
            self.satellite = str(self._stage()["satellite"])
        except (NetworkError, PostgreSQLError) as error:
            raise NetworkError(f"{error}{self._end()[1]}") from error
        except BaseException:
            self._end()
            raise

    def stop(self) -> None:
        """End it and remove what it has stored."""
        code, tail = self._end()
        if code != 0:
            raise NetworkError(f"the Storj network ended with exit code {code}{tail}")

    def new_project(self) -> Project:
        """A fresh project with an API key and a grant for everything in it."""
        made = Project(**self._ask("project"))
        secrecy.note("an access grant", made.grant)
        return made

    def new_bucket_name(self) -> str:
        """A name that no other test of this network gets; the bucket is not made."""
        return f"bucket-{next(self._buckets)}"

    def delay(self, milliseconds: float, *peers: str) -> None:
        """Delay what goes to and from ``peers`` by ``milliseconds`` each way."""
        self._ask("delay", peers=peers, delay_ms=milliseconds)

    def stall(self, *peers: str) -> None:
        """Let ``peers`` accept connections and carry nothing."""
        self._ask("stall", peers=peers)

    def cut(self, *peers: str) -> None:
        """Cut ``peers`` off: their connections are closed, new ones refused."""
        self._ask("cut", peers=peers)

    def reset(self, *peers: str) -> int:
        """End all connections of ``peers`` by a TCP reset, and say how many; new ones work."""
        return int(self._ask("reset", peers=peers)["ended"])

    def lose(self, method: str, times: int = 1, *, silent: bool = False) -> None:
        """Lose the satellite's next ``times`` answers to ``method``, each after it was done.

        The connection is reset in the answer's place, or, ``silent``, stays open and says nothing
        any more. ``method`` is one of the satellite's metainfo service, as in
        ``Requests.operations``. Until they are lost (``ProxyState.lost`` counts), nobody else may
        ask the satellite.
        """
        self._ask("lose", method=method, times=times, silent=silent)

    def restore(self, *peers: str) -> None:
        """End every fault of ``peers``, or of all when none is named."""
        self._ask("restore", peers=peers or PEERS)

    def proxies(self) -> dict[str, ProxyState]:
        """The proxies, by their peers' names."""
        return {state["name"]: ProxyState(**state) for state in self._ask("proxies")}

    def requests(self) -> Requests:
        """What all clients have asked of the satellite since the start; take differences."""
        return Requests(**self._ask("requests"))

    def limit(
        self,
        project: Project,
        *,
        rate: int | None = None,
        storage: int | None = None,
        bandwidth: int | None = None,
        segments: int | None = None,
    ) -> None:
        """Give ``project`` these limits and no other ones; none named: without limit again.

        ``rate`` is in requests a second, with a burst of as many, and at least 1; ``storage``, and
        ``bandwidth`` of downloads in a month, in bytes.
        """
        self._ask(
            "limits",
            project=project.id,
            rate=rate,
            storage=storage,
            bandwidth=bandwidth,
            segments=segments,
        )

    def bucket(self, project: Project, name: str) -> BucketState:
        """What the satellite's database says of a bucket, right after an accounting."""
        return BucketState(**self._ask("bucket", project=project.id, bucket=name))

    def keep_versions(self, project: Project, bucket: str) -> None:
        """Turn versioning on for a bucket."""
        self._ask("versions", project=project.id, bucket=bucket)

    def upload(
        self, project: Project, bucket: str, key: str, size: int, *, user_agent: str = ""
    ) -> Future[Transferred]:
        """Put ``size`` pseudo-random bytes by Storj's Go client; makes the bucket."""
        return self._transfer("upload", project, bucket, key, size=size, user_agent=user_agent)

    def download(self, project: Project, bucket: str, key: str) -> Future[Transferred]:
        """Get an object by Storj's Go client."""
        return self._transfer("download", project, bucket, key)

    def _transfer(
        self, command: str, project: Project, bucket: str, key: str, **arguments: Any
    ) -> Future[Transferred]:
        done: Future[Transferred] = Future()

        def pass_on(answer: Future[Any]) -> None:
            error = answer.exception()
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(Transferred(**answer.result()))

        access = {"grant": project.grant}
        if not project.grant:
            access = {
                "satellite": project.satellite,
                "api_key": project.api_key,
                "passphrase": project.passphrase,
            }
        sent = self._send(command, bucket=bucket, key=key, **access, **arguments)
        sent.add_done_callback(pass_on)
        return done

    def _ask(self, command: str, **arguments: Any) -> Any:
        answer = self._send(command, **arguments)
        try:
            return answer.result(COMMAND_LIMIT)
        except TimeoutError as late:
            raise NetworkError(f"no answer to {command} in {COMMAND_LIMIT:.0f} s") from late

    def _send(self, command: str, **arguments: Any) -> Future[Any]:
        answer: Future[Any] = Future()
        with self._lock:
            number = next(self._numbers)
            self._pending[number] = answer
            line = json.dumps({"id": number, "command": command, **arguments})
            self._write(line.encode() + b"\n")
        return answer

    def _write(self, line: bytes) -> None:
        assert self._process is not None, "not started"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except (OSError, ValueError) as error:  # ValueError: closed
            raise NetworkError(f"the Storj network has ended{self._tail()}") from error

    def _run(self, program: Path) -> None:
        assert self._directory is not None
        assert self._postgres is not None
        answers, theirs = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    *(program, "-test.run=^TestNetwork$", "-test.timeout=0", "-test.v"),
                    *(f"-directory={self._directory}", f"-answers={theirs}"),
                    f"-production-limits={'true' if self._production_limits else 'false'}",
                ],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[theirs],
                cwd=self._directory,
                env=os.environ
                | {
                    "STORJ_TEST_POSTGRES": self._postgres.url,
                    "STORJ_TEST_COCKROACH": "omit",
                    "STORJ_TEST_SPANNER": "omit",
                    "STORJ_TEST_TIDB": "omit",
                    "STORJ_TEST_LOG_LEVEL": "warn",
                    "TMPDIR": str(self._directory),
                },
                start_new_session=True,  # Ctrl-C is for the tests, which then end it
            )
        except BaseException:
            os.close(answers)
            raise
        finally:
            os.close(theirs)
        self._reader = threading.Thread(
            target=self._read, args=(os.fdopen(answers, "rb"),), name="network", daemon=True
        )
        self._reader.start()

    def _read(self, answers: IO[bytes]) -> None:
        """Hand out what the program says, until it ends."""
        with answers:
            for line in answers:
                said = json.loads(line)
                if "id" not in said:
                    self._stages.put(said)
                    continue
                with self._lock:
                    answer = self._pending.pop(said["id"])
                if "error" in said:
                    answer.set_exception(NetworkError(said["error"]))
                else:
                    answer.set_result(said.get("answer"))
        self._stages.put(None)
        with self._lock:
            left = list(self._pending.values())
            self._pending.clear()
        for answer in left:
            answer.set_exception(NetworkError(f"the Storj network has ended{self._tail()}"))

    def _stage(self) -> dict[str, Any]:
        try:
            said = self._stages.get(timeout=START_LIMIT)
        except queue.Empty:
            raise NetworkError(f"the Storj network did not start in {START_LIMIT:.0f} s") from None
        if said is None:
            raise NetworkError("the Storj network did not start")
        return said

    def _end(self) -> tuple[int, str]:
        """End everything; the program's exit code, and the end of the log."""
        code = 0
        if self._process is not None:
            assert self._process.stdin is not None
            # It ends by itself at the end of its input, and PostgreSQL with it.
            with self._lock:
                self._process.stdin.close()
            try:
                code = self._process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                code = self._process.wait()
        if self._reader is not None:
            self._reader.join()
        if self._postgres is not None:
            self._postgres.stop()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        tail = self._tail()
        if self._log is not None:
            self._log.close()
        return code, tail

    def _tail(self) -> str:
        """The end of the log, as an appendix to a message."""
        if self._log is None or self._log.closed:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        text = os.pread(self._log.fileno(), LOG_TAIL, max(0, size - LOG_TAIL))
        return f"; the end of its log:\n{text.decode(errors='replace')}" if text else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
