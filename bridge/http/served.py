"""What every door says of a request that it has answered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Served:
    """One request that was answered, for access log and metrics.

    ``status`` is 499 when the client went away before its answer was whole. ``principal``: who
    asked, ``""`` when nobody had signed in. ``seconds`` until the answer was ready (if streamed:
    sent). ``target`` holds names in plain: below DEBUG it must not reach a log.
    """

    request_id: str
    method: str
    target: str
    status: int
    seconds: float
    address: str
    principal: str
    agent: str
