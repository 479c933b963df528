"""Errors as problem details (RFC 9457): the same sentences as on the screen."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from core import errors
from core.api.idempotency import UnderWayError
from core.api.shapes import Problem
from core.language import _
from core.picture_store import StorageError
from core.pictures import NotAPictureError, PictureTooLargeError
from core.text import storable

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

# The first that fits decides: special cases before their families.
_STATUS: tuple[tuple[type[errors.DashboardError], int], ...] = (
    (errors.SignInError, 401),
    (errors.ForbiddenError, 403),
    (errors.NotFoundError, 404),
    (errors.BudgetReachedError, 409),
    (errors.ConflictError, 409),
    (UnderWayError, 409),
    (PictureTooLargeError, 413),
    (NotAPictureError, 415),
    (errors.InvalidInputError, 422),
    (errors.TooManyError, 429),
    (errors.ServiceError, 502),
    (StorageError, 507),
    (errors.DashboardError, 503),
)
_MEANING = {
    401: "No token, or one that is not valid",
    403: "The token's role may not do this",
    404: "There is no such thing",
    409: "The month's budget is reached, or the first request with this key is under way",
    413: "The body is too large",
    415: "The file is not a picture that is taken",
    422: "The request can't be used as it is",
    429: "Too many wrong tokens, or uploads at once; Retry-After says how many seconds to wait",
    503: "The database or the job queue is not to be had; try again later",
    507: "The picture can't be stored",
}
_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}},
    429: {"Retry-After": {"schema": {"type": "integer"}, "required": True}},
}


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of these error answers."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": _MEANING[status],
            "headers": _HEADERS.get(status, {}),
            "content": {MEDIA_TYPE: {"schema": schema, "example": _example(status)}},
        }
        for status in statuses
    }


def _example(status: int) -> dict[str, Any]:
    return _problem(status, _MEANING[status] + ".").model_dump()


def _problem(status: int, detail: str) -> Problem:
    title = HTTPStatus(status).phrase
    return Problem(type="about:blank", title=title, status=status, detail=storable(detail))


def answer(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error answer."""
    problem = _problem(status, detail).model_dump()
    return JSONResponse(problem, status, headers, media_type=MEDIA_TYPE)


def install(api: FastAPI) -> None:
    """Have every error of ``api`` answered as a problem, and its document say so."""

    @api.exception_handler(errors.DashboardError)
    async def _ours(_request: Request, error: errors.DashboardError) -> JSONResponse:
        status = next(status for family, status in _STATUS if isinstance(error, family))
        headers = {}
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if isinstance(error, errors.TooManyError):
            headers["Retry-After"] = str(error.retry_after)
        if status >= 500:
            log.warning("Answered %s: %s", status, error, exc_info=error.__cause__)
        return answer(status, str(error), headers)

    @api.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
            for detail in error.errors()
        )
        return answer(422, _("The request can't be used as it is. {wrong}").format(wrong=wrong))

    @api.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        match error.status_code:
            case 404:
                detail = _("There is nothing at this address. The calls are listed at /api/docs.")
            case 405:
                detail = _(
                    "This address does not take this method. The calls are listed at /api/docs."
                )
                headers["Allow"] = ", ".join(_methods(api, request)) or headers.get("Allow", "")
            case 400:  # how FastAPI puts a body that is no text at all
                return answer(422, _("The request can't be used as it is: its body is not JSON."))
            case _:
                detail = str(error.detail)
        return answer(error.status_code, detail, headers)

    @api.exception_handler(Exception)
    async def _bug(_request: Request, error: Exception) -> JSONResponse:
        return answer(500, _("Something unexpected went wrong. The log of Capista has more."))

    document = api.openapi

    def openapi() -> dict[str, Any]:
        described = document()
        described["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return described

    api.openapi = openapi  # type: ignore[method-assign]


def _methods(api: FastAPI, request: Request) -> list[str]:
    """Return the methods that this address does take."""
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    methods = {
        method.upper()
        for template, calls in api.openapi()["paths"].items()
        if _fits(template, path)
        for method in calls
    }
    return sorted(methods)


def _fits(template: str, path: str) -> bool:
    parts, given = template.split("/"), path.split("/")
    return len(parts) == len(given) and all(
        part == word or part.startswith("{") for part, word in zip(parts, given, strict=True)
    )
