"""Reading an uploaded picture, by way of a spooled file. ``limits.py`` ends what is too long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from core.errors import InvalidInputError, TooManyError
from core.language import _

_MOST_AT_ONCE = 32
"""Uploads that come in or wait; each has a megabyte in memory and the rest on the disk."""
_IN_MEMORY = 2
"""Uploads that are worked on: as many as there are decoders."""
_RETRY_AFTER_S = 5


class Reception:
    """Where uploads wait for their turn."""

    def __init__(self) -> None:
        self._here = 0
        self._turns = asyncio.Semaphore(_IN_MEMORY)

    @asynccontextmanager
    async def picture(self, request: Request, field: str = "image") -> AsyncIterator[bytes]:
        """Yield the bytes of the multipart field, when it is their turn.

        :raises TooManyError: if too many uploads wait already; nothing is read then
        :raises InvalidInputError: if there is no such field
        """
        if self._here >= _MOST_AT_ONCE:
            raise TooManyError(
                _("Too many uploads at once. Try again in {wait} seconds.").format(
                    wait=_RETRY_AFTER_S
                ),
                retry_after=_RETRY_AFTER_S,
            )
        self._here += 1
        try:
            async with _file_in(request, field) as file, self._turns:
                yield await file.read()
        finally:
            self._here -= 1


@asynccontextmanager
async def _file_in(request: Request, field: str) -> AsyncIterator[UploadFile]:
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise InvalidInputError(
            _("Send the picture as multipart/form-data, in the field {field}.").format(field=field)
        )
    parser = MultiPartParser(request.headers, request.stream(), max_files=1, max_fields=10)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise InvalidInputError(
            _("The upload can't be read: it is not proper multipart/form-data.")
        ) from error
    try:
        file = form.get(field)
        if not isinstance(file, UploadFile):
            raise InvalidInputError(
                _("The upload has no file in the field {field}.").format(field=field)
            )
        yield file
    finally:
        await form.close()
