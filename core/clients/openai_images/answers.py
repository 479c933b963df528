"""Getting the picture out of an answer, in whichever form the service put it there."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence

import httpx2

from core.clients.openai_images.problems import Troubles

MOST_BYTES = 25 * 1024 * 1024
_USER_AGENT = "Capista/1.0"  # some delivery networks refuse a download without one

_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")


def read_picture(items: object, fetch: Callable[[str], bytes], troubles: Troubles) -> bytes:
    """Return the bytes of the first picture among ``items``, the ``data`` of an answer.

    ``fetch`` gets a picture that was sent as an address.

    :raises ServiceError: if there is none, or what is there is not a picture
    """
    found = _first(items)
    if found is None:
        raise troubles.no_picture("no b64_json and no url in data")
    text, is_address = found
    if is_address and not text.lower().startswith("data:"):
        data = fetch(text)
    else:
        data = _decode(text, troubles)
    if not _looks_like_a_picture(data):
        raise troubles.no_picture(f"{len(data)} bytes that are no picture")
    return data


def download(url: str, troubles: Troubles, *, timeout: float = 60.0) -> bytes:
    """Return what is at ``url``. The key is never sent there.

    :raises ServiceError: not permanent where asking again may help
    """
    if not re.match(r"https?://", url, re.IGNORECASE):
        raise troubles.no_download("the answer names an address that is not http")
    reason = ""
    passing = True
    try:
        with (
            httpx2.Client(
                follow_redirects=True,
                max_redirects=3,
                timeout=timeout,
                headers={"User-Agent": _USER_AGENT},
            ) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code == 200:
                return _read_capped(response, troubles)
            reason = f"HTTP {response.status_code} at the picture's address"
            passing = response.status_code == 429 or response.status_code >= 500
    except (httpx2.TooManyRedirects, httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        reason, passing = type(error).__name__, False
    except httpx2.HTTPError as error:
        reason = type(error).__name__
    # The address may hold a signature, so neither it nor an error that quotes it is passed on.
    raise troubles.no_download(reason, permanent=not passing)


def _read_capped(response: httpx2.Response, troubles: Troubles) -> bytes:
    data = bytearray()
    for chunk in response.iter_bytes():
        data += chunk
        if len(data) > MOST_BYTES:
            raise troubles.no_picture("the picture is larger than 25 MB")
    return bytes(data)


def _first(items: object) -> tuple[str, bool] | None:
    """Return the first picture as text, and whether that is an address."""
    if not isinstance(items, Sequence) or isinstance(items, str):
        return None
    for item in items:
        for name, is_address in (("b64_json", False), ("url", True)):
            # The SDK does not check types: an item may be anything that JSON can hold.
            value = item.get(name) if isinstance(item, dict) else getattr(item, name, None)
            if isinstance(value, str) and value.strip():
                return value.strip(), is_address
    return None


def _decode(text: str, troubles: Troubles) -> bytes:
    plain = re.sub(r"^data:[^,]*;base64,", "", text, flags=re.IGNORECASE)
    plain = "".join(plain.split()).rstrip("=")
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise troubles.no_picture("broken base64")
    if len(data) > MOST_BYTES:
        raise troubles.no_picture("the picture is larger than 25 MB")
    return data


def _looks_like_a_picture(data: bytes) -> bool:
    """Tell a picture from an error page. Whether it opens is for the caller to check."""
    is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    is_avif = data[4:12] in (b"ftypavif", b"ftypavis")
    return data.startswith(_SIGNATURES) or is_webp or is_avif
