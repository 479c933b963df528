"""How much of a body is read: no more than a call can use, whatever it says of its length.

FastAPI's own limit answers in plain text where we owe a problem, so this one stands in for it.
"""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.language import _
from core.pictures import MAX_BYTES

_LARGEST_BODY = 1024 * 1024
_ENVELOPE = 64 * 1024
"""Bytes that a multipart body may have around the picture."""


class BodyLimit:
    """Stops reading a body, and has 413 answered, as soon as too much has come."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the call read up to its limit."""
        is_upload = scope.get("path", "").endswith("/images/upload")
        most = MAX_BYTES + _ENVELOPE if is_upload else _LARGEST_BODY
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise HTTPException(413, _too_large(is_upload))
            return message

        await self._app(scope, limited, send)


def _too_large(is_upload: bool) -> str:
    if is_upload:
        return _("The file is too large: at most {most} MB are taken. Save it smaller.").format(
            most=MAX_BYTES // 1024**2
        )
    return _("The body is too large: at most 1 MB is taken.")
