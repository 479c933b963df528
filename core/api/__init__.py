"""The HTTP face: other programs call what the pages call.

``create_api`` gives the calls under ``/api``; ``picture_route`` serves the picture files.
"""

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi_offline import FastAPIOffline

from core.api import hotmart, jobs, notes, pictures, problems, products
from core.api.gate import Brake
from core.api.guard import page_policy
from core.api.pictures import picture_route
from core.api.uploads import Reception
from core.app import App

__all__ = ["create_api", "picture_route"]


def create_api(app: Callable[[], App]) -> FastAPI:
    """Return the calls, to be mounted under ``/api``.

    ``app`` gives the App of the process; it is asked at each call, because the server may be
    put together before the App is.
    """
    api: FastAPI = FastAPIOffline(
        title="Capista",
        summary="Hotmart offers, their pictures and their notes.",
        description=(
            "Every call needs `Authorization: Bearer <token>`; create one with"
            " `python -m core token create NAME --role viewer|editor|admin`. Errors are problem"
            " details (RFC 9457)."
        ),
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        servers=[{"url": "/api"}],
        root_path_in_servers=False,
        responses=problems.described(422, 429, 503),
    )
    api.add_route("/docs", _docs, include_in_schema=False)
    api.state.app_source = app
    api.state.brake = Brake()
    api.state.reception = Reception()
    problems.install(api)
    for part in (products, pictures, notes, jobs, hotmart):
        api.include_router(part.router)
    return api


async def _docs(request: Request) -> HTMLResponse:
    """Answer with the human pages; all they need comes from here."""
    root = request.scope["root_path"]
    page = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="Capista",
        swagger_js_url=f"{root}/static-offline-docs/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/static-offline-docs/swagger-ui.css",
        swagger_favicon_url=f"{root}/static-offline-docs/favicon.png",
        swagger_ui_parameters={"validatorUrl": None},  # it would ask another host
    )
    page.headers["Content-Security-Policy"] = page_policy([bytes(page.body).decode()])
    return page
