"""The OpenAPI 3.1 document of the protocol, made of the table of its operations and of its forms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from ogtorrent import __version__
from ogtorrent.repository.console.forms import Problem
from ogtorrent.repository.console.operations import Operation

BASE = "/api/v1"
_PROBLEMS = {
    400: "The request has not the form that it should have",
    401: "The token is missing or wrong",
    403: "Without a token only the server's own host may do this",
    404: "There is none of that name",
    408: "The request came too slowly",
    409: "It cannot be beside what there is, or is in use",
    413: "The request is too large",
    415: "The request is no JSON",
    500: "It cannot be done now, for example because the disk is full",
}
_OF_BODIES = (400, 408, 413, 415)
_PARAMETERS = {
    "name": "Of the group or client",
    "image": "Path of the image below the repository's images; its slashes may stand as they are or as %2F",
}


def document(operations: Sequence[Operation], needs_token: bool) -> dict[str, Any]:
    types = [one for operation in operations for one in (operation.answer, operation.body) if one]
    types = list(dict.fromkeys([*types, Problem]))
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    of = dict(zip(types, schemas, strict=True))
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(BASE + operation.path, {})[operation.method.lower()] = _operation(operation, of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ogtorrent: the console's protocol",
            "version": __version__,
            "description": "How a management server tells the repository what changed in its database.",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        # Without a token whoever is let in needs none.
        "security": [{"token": []}] if needs_token else [],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "The repository's token, alone, as OpenGnsys sends it.",
                }
            },
        },
    }


def _operation(operation: Operation, schemas: dict[type, Any]) -> dict[str, Any]:
    refusals = {401, 403, 500, *operation.refusals, *(_OF_BODIES if operation.body else ())}
    described: dict[str, Any] = {
        "operationId": operation.work.__name__,
        "summary": operation.summary,
        "parameters": [
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": _PARAMETERS[name],
                "schema": {"type": "string", "minLength": 1},
            }
            for name in re.findall(r"{(\w+)}", operation.path)
        ],
        "responses": {
            str(operation.status): {
                "description": operation.answer.__doc__ or operation.summary,
                "content": {"application/json": {"schema": schemas[operation.answer]}},
            },
            **{
                str(status): {
                    "description": _PROBLEMS[status],
                    "content": {"application/json": {"schema": schemas[Problem]}},
                }
                for status in sorted(refusals)
            },
        },
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[operation.body]}},
        }
    return described
