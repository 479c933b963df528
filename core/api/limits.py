"""What one caller may take of the server: bodies, time, websockets, open files.

These stand before all routes, Streamlit's own included. Bodies that nobody reads to the end are
not left to the server either: it would take in all that is sent, however much that is.
"""

import asyncio
from collections import Counter
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.api import problems
from core.language import _
from core.pictures import LARGEST_UPLOAD, MAX_BYTES

_LARGEST_BODY = 1024 * 1024
_PATIENCE_S = 20.0
_SLOWEST = 16 * 1024
"""Bytes a second; for what comes slower, patience ends."""
_LINGER_S = 2.0
"""How long a body is still taken in after the answer. A connection that is closed while much is
under way is reset, and then the answer may never be read."""

_MOST_SOCKETS = 200
_MOST_SOCKETS_OF_ONE = 100
"""From one address; a proxy or an office has one address for all behind it."""
_BURST = 50
_MESSAGES_PER_S = 10.0
"""Fragments that look after a job ask every second, beside the clicks of a person."""
_WANTED_FILES = 65_536


class BodyLimit:
    """Stops reading a body, and has 413 or 408 answered, when it is too long or too slow."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a route read up to its limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        announced = int(headers.get("content-length") or 0)
        is_upload = _takes_pictures(scope["path"])
        most = LARGEST_UPLOAD if is_upload else _LARGEST_BODY
        ended = not announced and "transfer-encoding" not in headers
        read, waited = 0, 0.0

        async def limited() -> Message:
            nonlocal ended, read, waited
            if ended:
                return await receive()
            start = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(_PATIENCE_S + read / _SLOWEST - waited):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException(
                    408, _("The body came too slowly. Try again on a better connection.")
                ) from error
            waited += asyncio.get_running_loop().time() - start
            read += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if read > most:
                raise HTTPException(413, _too_large(is_upload))
            return message

        async def send_and_close(message: Message) -> None:
            if ended:
                await send(message)
            elif message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
                await send(message)
            elif message.get("more_body", False):
                await send(message)
            else:
                await send({**message, "more_body": True})
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LINGER_S):
                        await _drain(receive, LARGEST_UPLOAD)
                await send({"type": "http.response.body", "body": b""})

        if announced > most:
            answer = refusal(scope, 413, _too_large(is_upload))
            await answer(scope, receive, send_and_close)
        else:
            await self._app(scope, limited, send_and_close)


class SocketLimit:
    """Bounds how many websockets are open, and how fast each is listened to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a websocket in, or answer 429."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else ""
        if self._open.total() >= _MOST_SOCKETS or self._open[address] >= _MOST_SOCKETS_OF_ONE:
            await _refuse_socket(scope, receive, send)
            return
        self._open[address] += 1
        try:
            await self._app(scope, _paced(receive), send)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]


def refusal(
    scope: Scope, status: int, detail: str, headers: dict[str, str] | None = None
) -> ASGIApp:
    """Return an error answer in the form that calls, or pages, owe."""
    if scope["path"].startswith("/api/"):
        return problems.answer(status, detail, headers)
    return PlainTextResponse(detail, status, headers)


def allow_open_files() -> None:
    """Let the process have as many connections at once as the system lets it have.

    Many systems begin with 1,024 open files: a few slow callers, and nobody else gets in.
    """
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(_WANTED_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _takes_pictures(path: str) -> bool:
    return path.endswith("/images/upload") or "/_stcore/upload_file/" in path


def _too_large(is_upload: bool) -> str:
    if is_upload:
        return _("The file is too large: at most {most} MB are taken. Save it smaller.").format(
            most=MAX_BYTES // 1024**2
        )
    return _("The body is too large: at most 1 MB is taken.")


async def _drain(receive: Receive, most: int) -> None:
    more = True
    while more and most > 0:
        message = await receive()
        most -= len(message.get("body", b""))
        more = message.get("more_body", False)


def _paced(receive: Receive) -> Receive:
    """Return ``receive`` that takes its time when more than a person's clicks come in."""
    left, seen = float(_BURST), asyncio.get_running_loop().time()

    async def paced() -> Message:
        nonlocal left, seen
        message = await receive()
        if message["type"] == "websocket.receive":
            now = asyncio.get_running_loop().time()
            left = min(_BURST, left + (now - seen) * _MESSAGES_PER_S) - 1
            seen = now
            if left < 0:  # meanwhile the connection is not read, and so nothing piles up here
                await asyncio.sleep(-left / _MESSAGES_PER_S)
        return message

    return paced


async def _refuse_socket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    why = _("Too many pages are open at once. Close some, then try again.")
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1013, "reason": why})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", b"10")]
    await send({"type": "websocket.http.response.start", "status": 429, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": why.encode()})
