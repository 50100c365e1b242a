"""``/healthz``, ``/readyz`` and ``/metrics``: what machines ask about this process.

``/healthz`` says that the event loop turns. ``/readyz`` really asks store, state and keys; its
answer is kept for a second, and a part that does not answer is asked by one thread only, so
that asking often cannot become a load. They lie outside the WebDAV root and shadow no file.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog
from aiohttp import web

from bridge.readiness import Ask, NotReady
from bridge.telemetry.metrics import CONTENT_TYPE, Metrics

_log = structlog.get_logger()

PATHS = frozenset({"/healthz", "/readyz", "/metrics"})

ANSWER_SECONDS = 5.0
"""A part that takes longer to answer is not ready."""

KEPT_SECONDS = 1.0
"""How long an answer of ``/readyz`` is given again."""

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


class Verdict(NamedTuple):
    """What a part's answer came to: ``ok`` and perhaps a note, or what is wrong."""

    ok: bool
    words: str


class Check:
    """One part that can be asked."""

    def __init__(self, name: str, ask: Ask) -> None:
        self.name = name
        self._ask = ask
        self._pending: asyncio.Future[Verdict] | None = None

    async def verdict(self) -> Verdict:
        """What the part answers. A question still unanswered is not asked twice."""
        if self._pending is None or self._pending.done():
            loop = asyncio.get_running_loop()
            future = self._pending = loop.create_future()
            # A thread of its own, and a daemon: a store that hangs must hold up neither the
            # pools that serve clients nor the end of the process.
            threading.Thread(
                target=self._answer, args=(loop, future), name=f"check-{self.name}", daemon=True
            ).start()
        try:
            return await asyncio.wait_for(asyncio.shield(self._pending), ANSWER_SECONDS)
        except TimeoutError:
            return Verdict(ok=False, words=f"no answer in {ANSWER_SECONDS:.0f} s")

    def _answer(self, loop: asyncio.AbstractEventLoop, future: asyncio.Future[Verdict]) -> None:
        try:
            note = self._ask()
            verdict = Verdict(ok=True, words=f"ok: {note}" if note else "ok")
        except NotReady as error:
            _log.warning("not ready", component=self.name, verdict=str(error))
            verdict = Verdict(ok=False, words=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is not ready
            _log.warning("not ready", component=self.name, exc_info=error)
            verdict = Verdict(ok=False, words=type(error).__name__)
        try:
            loop.call_soon_threadsafe(_settle, future, verdict)
        except RuntimeError:  # the loop has ended meanwhile
            return


class Health:
    """Answers the health paths. ``metrics_to_local``: give figures to this machine's programs."""

    def __init__(
        self,
        checks: Mapping[str, Ask],
        metrics: Metrics,
        *,
        metrics_to_local: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = [Check(name, ask) for name, ask in checks.items()]
        self._metrics = metrics
        self._metrics_to_local = metrics_to_local
        self._clock = clock
        self._known: tuple[float, dict[str, Verdict]] | None = None
        self._asking: asyncio.Task[dict[str, Verdict]] | None = None
        self.stopping = False

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request for one of PATHS."""
        if request.method not in {"GET", "HEAD"}:
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        match request.path:
            case "/healthz":
                return web.Response(text="ok\n", headers=_NO_STORE)
            case "/readyz":
                return await self._ready()
            case _:
                if not (self._metrics_to_local and _is_local(request)):
                    return web.Response(status=404, text="see metrics.address in the settings\n")
                return self.figures()

    async def handle_metrics(self, request: web.BaseRequest) -> web.StreamResponse:
        """The listener for Prometheus: ``/metrics`` to everyone who reaches it, and health."""
        if request.path == "/metrics":
            return self.figures()
        if request.path in PATHS:
            return await self.handle(request)
        return web.Response(status=404)

    def figures(self) -> web.Response:
        """All figures."""
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _ready(self) -> web.Response:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())
        verdicts = dict(await asyncio.shield(self._asking))
        if self.stopping:
            verdicts["process"] = Verdict(ok=False, words="stopping")
        ready = all(verdict.ok for verdict in verdicts.values())
        checks = {name: verdict.words for name, verdict in verdicts.items()}
        body = json.dumps({"ready": ready, "checks": checks}) + "\n"
        return web.Response(
            status=200 if ready else 503,
            text=body,
            content_type="application/json",
            headers=_NO_STORE,
        )

    async def _ask_all(self) -> dict[str, Verdict]:
        if self._known is not None and self._known[0] > self._clock():
            return self._known[1]
        answers = await asyncio.gather(*(check.verdict() for check in self._checks))
        verdicts = {check.name: answer for check, answer in zip(self._checks, answers, strict=True)}
        self._known = (self._clock() + KEPT_SECONDS, verdicts)
        return verdicts


_NO_STORE = {"Cache-Control": "no-store"}


def _settle(future: asyncio.Future[Verdict], verdict: Verdict) -> None:
    if not future.done():
        future.set_result(verdict)


def _is_local(request: web.BaseRequest) -> bool:
    """Whether a program of this machine asks for itself, and not a proxy for somebody else."""
    if any(header in request.headers for header in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
