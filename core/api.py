"""The HTTP face. For now it serves picture files."""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core.app import App
from core.errors import NotFoundError
from core.images import PICTURES_PATH
from core.picture_store import media_type_of

_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def picture_route(app: Callable[[], App]) -> Route:
    """Return the route of the picture files. A name is a digest, so its bytes never change."""

    async def serve(request: Request) -> Response:
        name = request.path_params["name"]
        etag = f'"{name}"'
        try:
            if request.headers.get("if-none-match") == etag and app().store.exists(name):
                return Response(status_code=304, headers={**_HEADERS, "ETag": etag})
            data = await run_in_threadpool(app().store.read, name)
        except NotFoundError as error:
            return PlainTextResponse(str(error), status_code=404)
        return Response(data, media_type=media_type_of(name), headers={**_HEADERS, "ETag": etag})

    return Route(PICTURES_PATH + "{name}", serve, methods=["GET", "HEAD"])
