"""Error responses: problem documents as defined in RFC 9457.

Problem (contracts.errors)
├── Unauthenticated        401
├── Forbidden              403
├── TooLarge               413
├── InternalError          500
├── Unavailable            503
└── ... one tree per service
"""

from typing import Any

from contracts.errors import Problem
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from chassis.observability.context import correlation_id

MEDIA_TYPE = "application/problem+json"


class Unauthenticated(Problem):
    code, status, title = "unauthenticated", 401, "Please sign in."


class Forbidden(Problem):
    code, status, title = "forbidden", 403, "You are not allowed to do this."


class TooLarge(Problem):
    code, status, title = "too_large", 413, "The request body is too large."


class InternalError(Problem):
    code, status = "internal_error", 500
    title = "Something went wrong on our side. Nothing was lost; please try again."


class Unavailable(Problem):
    code, status, title = "unavailable", 503, "The service is temporarily unavailable. Please try again in a moment."


class ProblemDocument(BaseModel):
    """The body of every error response. Some problems have more members, e.g. `seats`."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    correlation_id: str


def document(code: str, status: int, title: str, detail: str, **members: Any) -> dict[str, Any]:
    """Return the problem document as a dict."""
    return members | {
        "type": f"urn:usher:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "correlation_id": correlation_id.get(),
    }


def response(problem: Problem) -> JSONResponse:
    """Return the HTTP response for a domain error. A `retry_after` member (seconds) also sets the header."""
    body = document(problem.code, problem.status, problem.title, problem.detail, **problem.members)
    headers = {"Retry-After": str(body["retry_after"])} if "retry_after" in body else {}
    if problem.status == Unauthenticated.status:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, problem.status, headers, media_type=MEDIA_TYPE)


def documented(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses=` argument of a route that can answer with these problems."""
    sentences: dict[int | str, list[str]] = {}
    for problem in problems:
        sentences.setdefault(problem.status, []).append(f"`{problem.code}`: {problem.title}")
    return {
        status: {"description": "\n\n".join(lines), "content": {MEDIA_TYPE: {"schema": _SCHEMA_REF}}}
        for status, lines in sentences.items()
    }


_SCHEMA_REF = {"$ref": "#/components/schemas/ProblemDocument"}


async def _on_problem(_: Request, problem: Exception) -> JSONResponse:
    assert isinstance(problem, Problem)  # noqa: S101 - registered for this class only
    return response(problem)


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    places = [{"loc": [str(part) for part in fault["loc"]], "msg": fault["msg"]} for fault in error.errors()]
    where = "; ".join(f"{'.'.join(place['loc'])}: {place['msg']}" for place in places[:5])
    body = document("invalid_request", 422, "The request is not valid.", where, errors=places)
    return JSONResponse(body, 422, media_type=MEDIA_TYPE)


async def _on_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    body = document(code, error.status_code, error.detail, error.detail)
    return JSONResponse(body, error.status_code, error.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Render every error of the app as a problem document and document it in its OpenAPI."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    make_openapi = app.openapi

    def openapi() -> dict[str, Any]:
        schema = make_openapi()
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for operations in schema["paths"].values():
            for operation in operations.values():
                _document_errors(operation)
        return schema

    app.openapi = openapi


def _document_errors(operation: dict[str, Any]) -> None:
    content = {MEDIA_TYPE: {"schema": _SCHEMA_REF}}
    responses = operation["responses"]
    if "422" in responses:
        responses["422"] = {"description": "The request is not valid.", "content": content} | {
            key: value for key, value in responses["422"].items() if key == "description"
        }
    responses.setdefault("default", {"description": "A problem.", "content": content})
