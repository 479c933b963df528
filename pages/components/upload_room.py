"""Bounds what the upload fields of all pages hold in memory.

Streamlit keeps every file that a page sends for as long as the page is open, used or not.
"""

import time
from collections.abc import Iterator

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import get_instance
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.language import _
from core.pictures import LARGEST_UPLOAD

_MOST_BYTES = 128 * 1024**2
_MOST_AT_ONCE = 32
_USED_WITHIN_S = 30.0
"""A page uses what it sent at once; what lies here longer was left behind."""


class UploadRoom:
    """Lets an upload of a page in when there is room for it, and answers 429 when not.

    A page keeps its newest file only: it has one field at a time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._coming: dict[object, int] = {}
        self._came: dict[tuple[str, str], float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        is_upload = scope["type"] == "http" and scope["method"] == "PUT"
        if not is_upload or "/_stcore/upload_file/" not in scope["path"]:
            await self._app(scope, receive, send)
            return
        files = get_instance().uploaded_file_mgr
        assert isinstance(files, MemoryUploadedFileManager)
        size = int(Headers(scope=scope).get("content-length") or LARGEST_UPLOAD)
        page, name = scope["path"].split("/")[-2:]
        if not self._has_room(files, page, size):
            why = _("Too many uploads at once. Wait half a minute, then try again.")
            answer = PlainTextResponse(why, 429, {"Retry-After": str(round(_USED_WITHIN_S))})
            await answer(scope, receive, send)
            return
        turn = object()
        self._coming[turn] = size
        try:
            await self._app(scope, receive, send)
        finally:
            del self._coming[turn]
        for other in [held for held_by, held, _size in _held(files) if held_by == page]:
            if other != name:
                files.remove_file(page, other)
        self._came[page, name] = time.monotonic()

    def _has_room(self, files: MemoryUploadedFileManager, page: str, size: int) -> bool:
        held = {(page, name): size for page, name, size in _held(files)}
        self._came = {key: came for key, came in self._came.items() if key in held}
        held = {key: size for key, size in held.items() if key[0] != page}  # they make way
        coming = sum(self._coming.values()) + size
        if len(self._coming) >= _MOST_AT_ONCE or coming > _MOST_BYTES:
            return False
        too_old = time.monotonic() - _USED_WITHIN_S
        while coming + sum(held.values()) > _MOST_BYTES:
            oldest = min(held, key=lambda key: self._came.get(key, 0.0))
            if self._came.get(oldest, 0.0) > too_old:
                return False
            files.remove_file(*oldest)
            del held[oldest]
        return True


def let_go(file: UploadedFile) -> None:
    """Give the memory of a file back that was used."""
    context = get_script_run_ctx()
    if context and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


def _held(files: MemoryUploadedFileManager) -> Iterator[tuple[str, str, int]]:
    for page, held in list(files.file_storage.items()):
        for name, file in list(held.items()):
            yield page, name, len(file.data)
