"""The OpenAPI document and the words about it tell what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bridge.admin.routes import ROUTES
from tests.admin.server import Running

WORDS = Path(__file__).parents[2] / "docs" / "admin-api.md"


def test_the_document_is_served_without_a_token_and_has_every_route(server: Running) -> None:
    reply = server.api(None)("GET", "/openapi.json")
    assert reply.status == 200
    assert reply.header("Content-Type") == "application/json"
    document = json.loads(reply.body)
    assert document["openapi"].startswith("3.1")
    told = {
        (method.upper(), path, operation["operationId"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }
    assert told == {(route.method, route.path, route.name) for route in ROUTES}
    references = set(re.findall(r'"#/components/schemas/(\w+)"', reply.body.decode()))
    assert references <= document["components"]["schemas"].keys()


def test_the_words_name_every_route_and_who_may_ask_for_it() -> None:
    rows = re.findall(r"^\| `(\w+) (\S+)` \| (\w+) \|", WORDS.read_text(), re.MULTILINE)
    assert set(rows) == {
        (route.method, route.path, "both" if route.bound else "operator") for route in ROUTES
    }
