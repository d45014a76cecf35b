"""Every error of the API as a problem document (RFC 9457).

`type` is a tag URI that ends in `rule`: stable, to be compared, not fetched. What a client shows is `detail`.
"""

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from domain.model import Refusal
from domain.roles import Action

MEDIA_TYPE = "application/problem+json"
_TYPE = "tag:claimdesk.example,2026:"


class FieldError(BaseModel):
    """One thing wrong with the input: where, and what would be accepted."""

    source: str = Field(description="Where the field stands: body, query, header or path.")
    field: str = Field(description="The field's name, with a point before what it holds: incident.date.")
    pointer: str | None = Field(None, description="JSON pointer into the body, where it is a field of the body.")
    message: str


class ProblemDetails(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description=f"{_TYPE}<rule>")
    title: str
    status: int
    detail: str = Field(description="What was wrong and what to do, for a person.")
    instance: str = Field(description="The path that was asked for.")
    rule: str = Field(description="The rule that refused, stable for programs.")
    field: str | None = Field(None, description="The field that was wrong.")
    errors: list[FieldError] | None = Field(None, description="Everything that was wrong with the input.")
    allowed_actions: list[Action] | None = Field(None, description="What the caller may do with the claim instead.")
    link: str | None = Field(None, description="The claim that stands in the way.")


class Problem(HTTPException):
    """Raised anywhere under a request: answered as a problem document with this status."""

    def __init__(
        self,
        status: int,
        rule: str,
        detail: str,
        *,
        field: str | None = None,
        errors: Sequence[FieldError] | None = None,
        allowed_actions: Sequence[Action] | None = None,
        link: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.rule = rule
        self.field = field
        self.errors = errors
        self.allowed_actions = allowed_actions
        self.link = link

    def document(self, path: str) -> ProblemDetails:
        """The document for a request of this path."""
        return ProblemDetails(
            type=_TYPE + self.rule,
            title=HTTPStatus(self.status_code).phrase,
            status=self.status_code,
            detail=str(self.detail),
            instance=path,
            rule=self.rule,
            field=self.field,
            errors=list(self.errors) if self.errors is not None else None,
            allowed_actions=list(self.allowed_actions) if self.allowed_actions is not None else None,
            link=self.link,
        )

    def response(self, path: str) -> JSONResponse:
        """The document as a response."""
        content = self.document(path).model_dump(mode="json", exclude_none=True)
        return JSONResponse(content, self.status_code, dict(self.headers or {}), MEDIA_TYPE)


def invalid(field: str, detail: str, *, rule: str = "validation", source: str = "body") -> Problem:
    """422 for one field of the input. `field` has points between its parts: `incident.date`."""
    return Problem(422, rule, detail, field=field, errors=[_field_error(source, field.split("."), detail)])


def refused(refusal: Refusal, allowed_actions: Sequence[Action]) -> Problem:
    """A rule's refusal: 403 where it is the caller's role, 422 where it is a field, else 409."""
    if refusal.forbidden:
        return Problem(403, refusal.rule, refusal.message, allowed_actions=allowed_actions)
    if refusal.field:
        return invalid(refusal.field, refusal.message, rule=refusal.rule)
    return Problem(409, refusal.rule, refusal.message, allowed_actions=allowed_actions)


def unavailable(rule: str, detail: str, retry_after: int = 5) -> Problem:
    """503: something that the answer needs doesn't answer. `retry_after` is in seconds."""
    return Problem(503, rule, detail, headers={"Retry-After": str(retry_after)})


def internal() -> Problem:
    """500, with nothing of what went wrong inside."""
    return Problem(500, "internal", "Something went wrong here, and it has been logged. Ask again later.")


def not_found(what: str = "claim") -> Problem:
    """404: it isn't there, or the caller may not see it; which of the two isn't told."""
    return Problem(404, "not_found", f"There is no such {what}, or it isn't one that you may see.")


def install(app: FastAPI) -> None:
    """Make the app answer every error that its routes and its router raise with a problem document."""
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, Problem):
        return error.response(request.url.path)
    assert isinstance(error, StarletteHTTPException)
    headers = dict(error.headers or {})
    match error.status_code:
        case 404:
            problem = Problem(404, "no_such_path", "Nothing is at this address. The addresses are listed at /docs.")
        case 405:
            allowed = headers.get("Allow", headers.get("allow", ""))
            problem = Problem(405, "method_not_allowed", f"This address takes only: {allowed}.", headers=headers)
        case 400:  # what Starlette and FastAPI say of a body that they can't take apart
            problem = Problem(422, "validation", f"The body can't be read. {error.detail}.")
        case status:
            problem = Problem(status, "bad_request", str(error.detail), headers=headers)
    return problem.response(request.url.path)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = []
    for found in error.errors():
        source, *parts = (str(part) for part in found["loc"])
        if source != "body":  # one of several values is still a value of that parameter
            parts = parts[:1]
        if found["type"] == "json_invalid":
            errors.append(FieldError(source="body", field="", message="The body isn't JSON."))
            continue
        message = found["msg"].removeprefix("Value error, ")
        if found["type"] == "extra_forbidden":
            message = "There is no such field here."
        errors.append(_field_error(source, parts, message))
    first = errors[0]
    detail = f"{first.field}: {first.message}" if first.field else first.message
    if len(errors) > 1:
        detail += f" And {len(errors) - 1} more, see errors."
    return Problem(422, "validation", detail, field=first.field or None, errors=errors).response(request.url.path)


def _field_error(source: str, parts: Sequence[str], message: str) -> FieldError:
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
    return FieldError(
        source=source, field=".".join(parts), pointer=pointer if source == "body" else None, message=message
    )
