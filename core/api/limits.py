"""What one caller may take of the server: bodies, time, websockets, open files.

These stand before all routes, Streamlit's own included. Bodies that nobody reads to the end are
not left to the server either: it would take in all that is sent, however much that is.
"""

import asyncio
import logging
from collections import Counter
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.api import problems
from core.language import _
from core.pictures import LARGEST_UPLOAD, MAX_BYTES

log = logging.getLogger(__name__)

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
_BURST = 60
_MESSAGES_PER_S = 12.0
"""From one address, on all its websockets. Each page that looks after a job asks once a second, and
an office or a proxy has one address for all behind it."""
_MOST_WAITING = 50
_MOST_WAITING_BYTES = 1024 * 1024
"""A page that has more to say than this while it waits is no person's."""
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
    """Bounds how many websockets are open, and how fast those of one address are listened to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: Counter[str] = Counter()
        self._paces: dict[str, _Pace] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a websocket in, or answer 429."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else ""
        if self._open.total() >= _MOST_SOCKETS or self._open[address] >= _MOST_SOCKETS_OF_ONE:
            await _refuse_socket(scope, receive, send)
            return
        self._paces = {
            known: pace
            for known, pace in self._paces.items()
            if self._open[known] or not pace.is_rested()
        }
        listener = _Listener(receive, self._paces.setdefault(address, _Pace()))
        reading = asyncio.create_task(listener.read_ahead())
        self._open[address] += 1
        try:
            await self._app(scope, listener.receive, send)
        finally:
            reading.cancel()
            self._open[address] -= 1
            # No word of parting for a flood: the server would have to read on, up to the answer.
            if listener.is_flooded.is_set():
                log.warning("Ended a websocket of %s that asked for too much.", address)


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


class _Pace:
    """How fast one address may ask: some at once, then so many a second."""

    def __init__(self) -> None:
        self._left, self._seen = float(_BURST), asyncio.get_running_loop().time()

    def is_rested(self) -> bool:
        """Tell whether there is nothing left to remember."""
        self._refill()
        return self._left >= _BURST

    def take(self) -> float:
        """Take a turn; return in how many seconds it comes."""
        self._refill()
        self._left -= 1
        return max(0.0, -self._left / _MESSAGES_PER_S)

    def _refill(self) -> None:
        now = asyncio.get_running_loop().time()
        self._left = min(_BURST, self._left + (now - self._seen) * _MESSAGES_PER_S)
        self._seen = now


class _Listener:
    """Hands the messages of a websocket on at the pace of its address.

    It reads ahead, to notice when the other side has gone, or says more than can wait.
    """

    def __init__(self, receive: Receive, pace: _Pace) -> None:
        self._receive = receive
        self._pace = pace
        self._waiting: asyncio.Queue[Message] = asyncio.Queue()
        self._bytes = 0
        self.is_flooded = asyncio.Event()

    async def read_ahead(self) -> None:
        """Read until the other side has gone, or has said too much."""
        kind = ""
        while kind != "websocket.disconnect":
            message = await self._receive()
            kind = message["type"]
            if self._waiting.qsize() >= _MOST_WAITING or self._bytes > _MOST_WAITING_BYTES:
                self.is_flooded.set()
                return
            self._bytes += _size(message)
            self._waiting.put_nowait(message)

    async def receive(self) -> Message:
        """Return the next message when it is its turn."""
        message = await self._waiting.get()
        self._bytes -= _size(message)
        if message["type"] == "websocket.receive":
            with suppress(TimeoutError):
                await asyncio.wait_for(self.is_flooded.wait(), self._pace.take())
                return {"type": "websocket.disconnect", "code": 1008}
        return message


def _size(message: Message) -> int:
    return len(message.get("bytes") or message.get("text") or b"")


async def _refuse_socket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    why = _("Too many pages are open at once. Close some, then try again.")
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1013, "reason": why})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", b"10")]
    await send({"type": "websocket.http.response.start", "status": 429, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": why.encode()})
