"""The OpenAPI 3.1 document, made of the routes and the models."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bridge import __version__
from bridge.admin.models import Problem
from bridge.admin.problems import CONTENT_TYPE
from bridge.admin.routes import PARAMETERS, ROOT, ROUTES, Route

PATH = "/openapi.json"
"""Where the document is, below ROOT; without a token."""

_REF = "#/components/schemas/{model}"

_ABOUT = """\
Tenants, credentials, tokens and usage. The operator's token may ask for everything. A token bound \
to a tenant may make, list and revoke that tenant's credentials and read its usage; of other \
tenants it is told the same as of those that do not exist."""

Json = dict[str, Any]


def document() -> bytes:
    """The document in JSON."""
    schemas = _schemas()
    paths: dict[str, Json] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    for path, item in paths.items():
        if names := re.findall(r"{(\w+)}", path):
            item["parameters"] = [_name(name) for name in names]
    return json.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "Storj bridge: admin API", "version": __version__}
            | {"description": _ABOUT},
            "servers": [{"url": ROOT}],
            "security": [{"token": []}],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        },
        indent=1,
    ).encode()


def _schemas() -> Json:
    """Of everything that bodies hold; queries are taken apart."""
    models: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
        (Problem, "serialization")
    ]
    for route in ROUTES:
        models.append((route.input, "validation"))
        if route.made is not None:
            models.append((route.made, "serialization"))
    _, schema = models_json_schema(list(dict.fromkeys(models)), ref_template=_REF)
    found: Json = schema["$defs"]
    return found


def _operation(route: Route[Any], schemas: Json) -> Json:
    operation: Json = {
        "operationId": route.name,
        "summary": _first_line(route.act.__doc__),
        "responses": _responses(route),
    }
    if not route.bound:
        operation["description"] = "The operator's token only."
    if route.body:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(route.input)}},
        }
    else:
        operation["parameters"] = _query(schemas[route.input.__name__])
    return operation


def _query(schema: Json) -> list[Json]:
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_null(field)}
        for name, field in schema.get("properties", {}).items()
    ]


def _without_null(field: Json) -> Json:
    """What a parameter may be that is there: in a query there is no null."""
    field = {key: value for key, value in field.items() if key not in ("title", "default")}
    kinds = [kind for kind in field.pop("anyOf", ()) if kind != {"type": "null"}]
    return field | kinds[0] if kinds else field


def _responses(route: Route[Any]) -> Json:
    responses: Json = {str(route.status): _success(route)}
    if route.lasting:
        responses["202"] = {"description": "It has begun and goes on; ask again to see it ended."}
    statuses = {400, 401, 403, 503, 507, *route.problems}
    if "{" in route.path:
        statuses.add(404)
    if route.body:
        statuses |= {408, 413, 415}
    for status in sorted(statuses):
        responses[str(status)] = _problem(HTTPStatus(status).phrase)
    responses["default"] = _problem("Whatever else goes wrong")
    return responses


def _success(route: Route[Any]) -> Json:
    success: Json = {"description": HTTPStatus(route.status).phrase}
    if route.made is not None:
        success["content"] = {"application/json": {"schema": _ref(route.made)}}
        if route.csv:
            success["content"]["text/csv"] = {"schema": {"type": "string"}}
    if route.status == 201:
        success["headers"] = {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}
    return success


def _problem(description: str) -> Json:
    return {"description": description, "content": {CONTENT_TYPE: {"schema": _ref(Problem)}}}


def _ref(model: type[BaseModel]) -> Mapping[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _name(name: str) -> Json:
    schema = {"type": "string", "pattern": PARAMETERS[name]}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]
