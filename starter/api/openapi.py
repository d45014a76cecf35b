"""The OpenAPI document, with the problems that every operation can answer, and a page of it that needs no network."""

import html
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from starter.api.problems import MEDIA_TYPE, ProblemDetails

Schema = dict[str, Any]
"""A piece of an OpenAPI document; the standard, not we, says what may be in it."""

_PROBLEMS = {
    "401": "No token, or not one that counts here.",
    "403": "Your roles don't allow it.",
    "404": "It isn't there, or you may not see it.",
    "422": "Something in the request is wrong; the field is named.",
    "500": "Something went wrong here.",
    "503": "Something needed doesn't answer just now; Retry-After says when to ask again.",
}
_PROBLEMS_OF_WRITES = {
    "409": "The claim, as it stands, doesn't allow it; allowed_actions are what it allows.",
    "413": "Too large.",
    "415": "The body must have another media type.",
}
_METHODS = ("get", "post", "put", "patch", "delete")


def document(app: FastAPI) -> Schema:
    """The OpenAPI document of the app, made once."""
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    schemas: Schema = schema["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["ProblemDetails"] = problem
    for path, operations in schema["paths"].items():
        if not path.startswith("/v1/"):
            continue
        for method in _METHODS:
            if method in operations:
                _add_problems(operations[method], writes=method != "get" or path.endswith("/packet"))
    app.openapi_schema = schema
    return schema


def _add_problems(operation: Schema, *, writes: bool) -> None:
    responses: Schema = operation["responses"]
    for status, description in (_PROBLEMS | (_PROBLEMS_OF_WRITES if writes else {})).items():
        responses[status] = {
            "description": description,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }


def page(schema: Schema) -> str:
    """The operations as a table of HTML, without script, style sheet or font from anywhere."""
    rows = []
    for path, operations in schema["paths"].items():
        for method in _METHODS:
            if method not in operations:
                continue
            operation = operations[method]
            asked = [
                f"{name['name']}{'' if name.get('required') else '?'} ({name['in']})"
                for name in operation.get("parameters", ())
                if name["in"] != "path"
            ]
            body = _body(operation)
            cells = (
                f"<code>{method.upper()}</code>",
                f"<code>{html.escape(path)}</code>",
                html.escape(operation.get("description", operation.get("summary", ""))),
                html.escape("; ".join(([body] if body else []) + asked)),
                html.escape(", ".join(operation["responses"])),
            )
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    info = schema["info"]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(info['title'])}</title>"
        "<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui;margin:2rem}table{border-collapse:collapse}"
        "th,td{text-align:left;vertical-align:top;padding:.4rem .8rem;border-bottom:1px solid #8885}</style>"
        f"<h1>{html.escape(info['title'])}</h1><p>{html.escape(info['description'])}</p>"
        '<p>The whole of it, for programs: <a href="/openapi.json">/openapi.json</a></p>'
        '<table><thead><tr><th scope="col">Method</th><th scope="col">Path</th><th scope="col">What it does</th>'
        '<th scope="col">Takes</th><th scope="col">Answers</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></html>"
    )


def _body(operation: Schema) -> str:
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        schema: Schema = content["schema"]
        name = str(schema["$ref"]).rpartition("/")[2] if "$ref" in schema else ", ".join(schema.get("properties", ()))
        return f"{name} ({media_type})"
    return ""
