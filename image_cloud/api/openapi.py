"""The OpenAPI 3.1 document of a node."""

from __future__ import annotations

from typing import Any

from image_cloud import __version__
from image_cloud.api.endpoints import Operation
from image_cloud.api.problems import Problem
from image_cloud.request.parameter import Parameter

PROBLEM = "#/components/schemas/Problem"
TOKENS: list[dict[str, list[str]]] = [{"bearer": []}, {"header": []}, {"query": []}]
NEEDS_RETRY_AFTER = (429, 503)


def document(operations: list[Operation]) -> dict[str, Any]:
    """Return the document; HEAD stands beside every GET."""
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        described = paths.setdefault(one.path, {})
        described[one.method.lower()] = _operation(one, one.method)
        if one.method == "GET":
            described["head"] = _operation(one, "HEAD")
    return {
        "openapi": "3.1.0",
        "info": {"title": "Image Cloud", "version": __version__},
        "paths": paths,
        "components": {"schemas": {"Problem": _problem_schema()}, "securitySchemes": _schemes()},
    }


def _operation(one: Operation, method: str) -> dict[str, Any]:
    scope = f" Scope `{one.scope}`." if one.scope else " No token."
    described: dict[str, Any] = {
        "operationId": f"{method.lower()}_{one.path.strip('/').replace('.', '_')}",
        "summary": one.summary,
        "description": one.summary + scope,
        "parameters": [_parameter(parameter) for parameter in one.parameters],
        "responses": _responses(one, with_bodies=method != "HEAD"),
        "security": TOKENS if one.scope else [],
    }
    if one.body:
        kind = "text/plain" if one.body["type"] == "string" else "application/json"
        media = {kind: {"schema": one.body}}
        described["requestBody"] = {"required": True, "content": media}
    return described


def _parameter(parameter: Parameter[Any]) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required,
        "description": parameter.meaning,
        "schema": parameter.schema(),
    }


def _responses(one: Operation, *, with_bodies: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for answer in one.answers:
        media = {kind: {"schema": schema} for kind, schema in answer.media.items()}
        found[str(answer.status)] = {"description": answer.meaning} | (
            {"content": media} if media and with_bodies else {}
        )
    by_status: dict[int, list[Problem]] = {}
    for problem in one.problems():
        by_status.setdefault(problem.status, []).append(problem)
    for status, problems in sorted(by_status.items()):
        found[str(status)] = _problem_response(status, problems, with_bodies=with_bodies)
    return found


def _problem_response(status: int, problems: list[Problem], *, with_bodies: bool) -> dict[str, Any]:
    codes = {problem.code: problem.title for problem in problems}
    response: dict[str, Any] = {
        "description": "; ".join(f"`{code}`: {title}" for code, title in codes.items())
    }
    if status in NEEDS_RETRY_AFTER:
        seconds = {"type": "integer", "minimum": 1}
        response["headers"] = {"Retry-After": {"description": "seconds", "schema": seconds}}
    if with_bodies:
        response["content"] = {"application/problem+json": {"schema": {"$ref": PROBLEM}}}
    return response


def _problem_schema() -> dict[str, Any]:
    text = {"type": "string"}
    members: dict[str, Any] = dict.fromkeys(("type", "title", "detail", "code", "request_id"), text)
    members["status"] = members["upstream_status"] = {"type": "integer"}
    required = [name for name in members if name != "upstream_status"]
    return {"type": "object", "properties": members, "required": required}


def _schemes() -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-Image-Cloud-Token"},
        "query": {"type": "apiKey", "in": "query", "name": "token"},
    }
