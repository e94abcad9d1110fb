"""The operator API as an OpenAPI document, made from the very structs that client and lab server use.

`python -m agent.lab.operator.openapi` prints it.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import msgspec

from agent.lab.operator.bodies import Problem
from agent.operator.api import MAX_BATCH, MAX_BODY, CdrBatch, CdrBatchResult, FileInfo, Health, Subscription, Usage

_BODIES: Final = (CdrBatch, CdrBatchResult, FileInfo, Health, Problem, Subscription, Usage)
_REFERENCE: Final = "#/components/schemas/{name}"

JsonObject = dict[str, Any]


def document() -> JsonObject:
    """Return the whole document (OpenAPI 3.1), as plain JSON values."""
    _, schemas = msgspec.json.schema_components(_BODIES, ref_template=_REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Operator API of the home telephone adapter",
            "version": "1",
            "description": "What an adapter asks of its operator. Bodies are JSON; unknown fields are ignored.",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "paths": _paths(),
        "security": [{"secret": [], "device": []}],
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "secret": {"type": "http", "scheme": "bearer", "description": "The device's secret."},
                "device": {"type": "apiKey", "in": "header", "name": "X-Device-Id"},
            },
        },
    }


def encoded() -> bytes:
    """Return the document as it lies in the documentation: indented, UTF-8, one line feed at the end."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


def _paths() -> JsonObject:
    name = _parameter("name", "path", {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"})
    sha256 = _parameter("sha256", "path", {"type": "string", "pattern": "^[0-9a-f]{64}$"})
    month = _parameter("month", "query", {"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"})
    data = {"description": "The bytes, immutable; `ETag` is the digest.", "content": {"application/octet-stream": {}}}
    return {
        "/v1/health": {
            "get": {
                "summary": "The platform's word about itself, with its time",
                "security": [],
                "responses": {"200": _body("Health")},
            }
        },
        "/v1/subscription": {"get": _operation("What the customer has", _body("Subscription"), 503)},
        "/v1/files/{name}": {
            "get": _operation("The current version of a published file", _body("FileInfo"), 304, 404, parameters=[name])
        },
        "/v1/files/{name}/{sha256}": {
            "get": _operation("The bytes of a published version", data, 304, 404, parameters=[name, sha256])
        },
        "/v1/usage": {
            "get": _operation(
                "The operator's own count of a month (Europe/Oslo)", _body("Usage"), 400, parameters=[month]
            )
        },
        "/v1/cdr": {
            "post": {
                **_operation(
                    "Hand over call records; answered after the commit", _body("CdrBatchResult"), 400, 413, 415
                ),
                "description": (
                    f"At most {MAX_BATCH} records and {MAX_BODY} bytes, before and after unpacking. "
                    "`Content-Encoding: gzip` is accepted."
                ),
                "requestBody": {"required": True, "content": _json("CdrBatch")},
            }
        },
    }


_REFUSALS: Final = {
    400: "The request cannot be read; `detail` names the field.",
    401: "Device id or secret is wrong or absent.",
    403: "The device is known and blocked.",
    404: "There is no such file.",
    413: "The body is too large.",
    415: "A content encoding other than gzip.",
    503: "Try again later, not before `Retry-After`.",
}


def _operation(
    summary: str, success: JsonObject, *others: int, parameters: list[JsonObject] | None = None
) -> JsonObject:
    responses: JsonObject = {"200": success}
    for status in sorted({*others, 401, 403, 503}):
        if status == 304:
            responses["304"] = {"description": "What `If-None-Match` names is current."}
        else:
            problem = {"application/problem+json": {"schema": {"$ref": _REFERENCE.format(name="Problem")}}}
            responses[str(status)] = {"description": _REFUSALS[status], "content": problem}
    operation: JsonObject = {"summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    return operation


def _body(name: str) -> JsonObject:
    return {"description": name, "content": _json(name)}


def _json(name: str) -> JsonObject:
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(name=name)}}}


def _parameter(name: str, place: str, schema: JsonObject) -> JsonObject:
    return {"name": name, "in": place, "required": True, "schema": schema}


if __name__ == "__main__":
    sys.stdout.buffer.write(encoded())
