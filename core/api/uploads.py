"""Reading an uploaded picture, by way of a spooled file. ``limits.py`` ends what is too long."""

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from core.errors import InvalidInputError
from core.language import _


async def read_picture(request: Request, field: str = "image") -> bytes:
    """Return the bytes of the multipart field.

    :raises InvalidInputError: if there is no such field
    """
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
        return await file.read()
    finally:
        await form.close()
