"""What Prometheus reads."""

from __future__ import annotations

import pytest

from bridge.store.api import NotFound
from bridge.store.memory import MemoryStore
from bridge.store.metered import MeteredStore
from bridge.telemetry.metrics import Metrics


def test_requests_are_counted_by_door_method_and_class_of_status() -> None:
    metrics = Metrics("1.2.3")
    metrics.request("webdav", "GET", 206, 0.01)
    metrics.request("webdav", "GET", 200, 0.01)
    metrics.bodies("webdav", 0, 1_000)
    metrics.bodies("webdav", 0, 24)
    text = metrics.text().decode()
    assert 'storj_bridge_requests_total{door="webdav",method="GET",status="2xx"} 2.0' in text
    assert 'storj_bridge_body_bytes_total{direction="out",door="webdav"} 1024.0' in text
    assert 'version="1.2.3"' in text


def test_a_client_cannot_make_new_series_by_inventing_methods() -> None:
    metrics = Metrics("1")
    metrics.request("webdav", "XYZZY1", 405, 0.01)
    metrics.request("webdav", "XYZZY2", 405, 0.01)
    text = metrics.text().decode()
    assert "XYZZY" not in text
    assert 'method="other",status="4xx"} 2.0' in text


def test_watched_figures_are_read_when_asked_for() -> None:
    metrics = Metrics("1")
    level = [1.0]
    metrics.watch("queue_depth", "Requests that wait.", lambda: level[0])
    metrics.watch_total("cache_hits", "Answers from memory.", lambda: 7)
    level[0] = 5
    text = metrics.text().decode()
    assert "storj_bridge_queue_depth 5.0" in text
    assert "storj_bridge_cache_hits_total 7.0" in text


def test_it_measures_a_store_through_the_wrapper_that_asks_for_a_meter() -> None:
    metrics = Metrics("1")
    store = MeteredStore(MemoryStore(), metrics)
    upload = store.put("key")
    upload.write(b"12345")
    upload.commit({})
    with pytest.raises(NotFound):
        store.stat("another")
    text = metrics.text().decode()
    assert 'storj_bridge_store_bytes_total{direction="in"} 5.0' in text
    assert 'storj_bridge_store_errors_total{error="NotFound",operation="stat"} 1.0' in text
    assert 'storj_bridge_store_seconds_count{operation="stat"} 1.0' in text
