"""Pictures that come from outside: checked, made upright and plain, and given a thumbnail.

A function here takes bytes and returns a ``Picture`` or raises; it touches nothing else, so it
can run in another process as it is.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO

from PIL import Image, ImageChops, ImageCms, JpegImagePlugin, UnidentifiedImageError

from core.errors import DashboardError, InvalidInputError
from core.language import _
from core.picture_store import FolderStore, picture_name, thumbnail_name

MAX_BYTES = 20 * 1024 * 1024
LARGEST_UPLOAD = MAX_BYTES + 64 * 1024
"""Bytes of a body with a picture: a multipart body has some around it."""
MAX_PIXELS = 50_000_000
MAX_SIDE = 16_384
THUMBNAIL_SIDE = 400

MAX_SCANS = 100
"""Passes of a progressive JPEG. Programs write about ten; thousands fit into a small file and
keep the decoder busy for a minute."""

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
_MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with a second picture behind it, as telephones make them
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
}

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # not stuffing, not a restart
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
_JPEG_ALONE = (0x01, 0xD8)  # markers that no length follows

_STEPS = range(0, 256, 17)
_SAMPLE_COLOURS = b"".join(bytes((r, g, b)) for r in _STEPS for g in _STEPS for b in _STEPS)


class NotAPictureError(InvalidInputError):
    """The bytes are no picture of a kind that is taken, or a damaged one."""


class PictureTooLargeError(InvalidInputError):
    """The picture is beyond a limit: bytes, pixels or side."""


@dataclass(frozen=True)
class Picture:
    """A checked picture with its thumbnail, ready to be kept.

    ``width`` and ``height`` are those of the picture as shown, that is, upright.
    """

    data: bytes = field(repr=False)
    media_type: str
    width: int
    height: int
    thumbnail: bytes = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def name(self) -> str:
        """The name in the picture store."""
        return picture_name(self.digest, self.media_type)

    @property
    def thumbnail_name(self) -> str:
        """The thumbnail's name in the picture store."""
        return thumbnail_name(self.digest)

    @property
    def byte_size(self) -> int:
        """How many bytes the picture has."""
        return len(self.data)


def accept_upload(data: bytes) -> Picture:
    """Make a new, plain picture of an uploaded one: upright, in sRGB, without metadata.

    :raises NotAPictureError: if it is not a picture of a kind that is taken, or damaged
    :raises PictureTooLargeError: if it is beyond one of the limits
    """
    with _sentences():
        image, media_type = _decode(data)
        # The colour resolution of the source is kept: what a camera has thrown away does not
        # come back, and the coloured letters of a banner are not blurred. -1 stands for unknown.
        subsampling = max(0, JpegImagePlugin.get_sampling(image))
        image = _normalise(image)

    # Hotmart and the ad networks take PNG and JPEG only, of 5 MB at most. WebP and AVIF are
    # nearly always photographs that were compressed with loss already: as PNG, one of 12
    # megapixels would weigh 20 MB. A GIF has few colours and hard edges, which JPEG smears and
    # PNG packs well.
    output = BytesIO()
    if image.mode == "RGBA" or media_type in ("image/png", "image/gif"):
        media_type = "image/png"
        image.save(output, "PNG")
    else:
        media_type = "image/jpeg"
        image.save(output, "JPEG", quality=92, subsampling=subsampling)
    return Picture(output.getvalue(), media_type, *image.size, _thumbnail(image))


def accept_painting(data: bytes) -> Picture:
    """Check a painter's answer as strictly as an upload, but keep its bytes as they came.

    The statement of how it was made (C2PA) is in its metadata and must not be lost.

    :raises NotAPictureError: if it is not a picture of a kind that is taken, or damaged
    :raises PictureTooLargeError: if it is beyond one of the limits
    """
    with _sentences():
        image, media_type = _decode(data)
        image = _normalise(image)
    return Picture(data, media_type, *image.size, _thumbnail(image))


def keep(store: FolderStore, picture: Picture) -> None:
    """Put a picture and its thumbnail into the store. A row that names it is written after this.

    :raises StorageError: if the disk did not take them
    """
    # The thumbnail first: where the picture is found, its thumbnail is there too.
    store.save(picture.thumbnail_name, picture.thumbnail)
    store.save(picture.name, picture.data)


def _decode(data: bytes) -> tuple[Image.Image, str]:
    if len(data) > MAX_BYTES:
        raise PictureTooLargeError(
            _(
                "The picture weighs {size:.1f} MB, and at most {limit} MB are taken. Save it "
                "smaller or as JPEG, then upload it again."
            ).format(size=len(data) / 1024**2, limit=MAX_BYTES // 1024**2)
        )
    # verify() looks at the container and load() at the pixels; each lets files through that the
    # other refuses, and after verify() the file has to be opened anew.
    image, media_type = _open(data)
    if media_type == "image/jpeg":
        _check_scans(data)
    image.verify()
    image, media_type = _open(data)
    image.load()
    return image, media_type


def _open(data: bytes) -> tuple[Image.Image, str]:
    """Read the header only, and refuse before a pixel is decoded."""
    image = Image.open(BytesIO(data), formats=_FORMATS)
    width, height = image.size
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise PictureTooLargeError(
            _(
                "The picture measures {width} × {height} pixels. At most {pixels} megapixels and "
                "{side} pixels a side are taken. Make it smaller, then upload it again."
            ).format(width=width, height=height, pixels=MAX_PIXELS // 1_000_000, side=MAX_SIDE)
        )
    return image, _MEDIA_TYPES[image.format or ""]


def _check_scans(data: bytes) -> None:
    # Marker by marker, skipping what belongs to each, as the decoder does: two bytes that look
    # like a scan may be anywhere in metadata.
    scans, position = 0, 2
    while marker := _JPEG_MARKER.search(data, position):
        kind, position = marker.group()[1], marker.end()
        if kind == _JPEG_END:
            return
        if kind in _JPEG_ALONE:
            continue
        scans += kind == _JPEG_SCAN
        if scans > MAX_SCANS:
            raise NotAPictureError(
                _(
                    "The JPEG is built in a way that takes far too long to open. Open it in a "
                    "picture program, save it again, then upload the new file."
                )
            )
        position += int.from_bytes(data[position : position + 2], "big")


def _normalise(image: Image.Image) -> Image.Image:
    """Return the picture upright, in sRGB, as L, RGB or RGBA, and with nothing else to it."""
    turn = _turn_of(image)
    if turn is not None:
        image = image.transpose(turn)
    profile = image.info.get("icc_profile")
    image = _plain_mode(image)
    if profile:
        image = _in_srgb(image, profile)
    if image.mode == "CMYK":
        image = image.convert("RGB")
    if image.mode == "RGBA" and image.getchannel("A").getextrema()[0] == 255:
        image = image.convert("RGB")
    image.info = {}  # the encoders would copy some of it
    return image


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    # Not image.getexif(): where EXIF is silent, that believes XMP too, which no browser does.
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        return _TURNS.get(exif.get(_ORIENTATION, 1))
    except Exception:  # broken EXIF raises whatever it likes, and the pixels are fine
        return None


def _plain_mode(image: Image.Image) -> Image.Image:
    """Return the picture as L, RGB, RGBA or CMYK."""
    key = image.info.get("transparency")
    if image.mode == "I;16":  # convert() alone would cut all tones above 255 to white
        image = image.point(lambda tone: tone / 257 + 0.5).convert("L")
        if key is not None:
            image.info["transparency"] = round(key / 257)
    elif image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        # Pillow makes 8 bits of 16, but leaves the transparent colour as it was.
        image.info["transparency"] = tuple(round(tone / 257) for tone in key)
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return the picture with its colours brought from ``profile`` to sRGB."""
    target = "RGBA" if image.mode == "RGBA" else "RGB"
    srgb = ImageCms.createProfile("sRGB")
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        transform = ImageCms.buildTransform(source, srgb, image.mode, target)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # a broken profile, or one for another kind of picture; browsers ignore it too
    if image.mode != target:
        return transform.apply(image)
    if not _is_sameness(transform, target):
        transform.apply_in_place(image)
    return image


def _is_sameness(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    # Most profiles that come in are some edition of sRGB itself. Asking a few colours is a
    # hundred times cheaper than finding out on every pixel.
    sample = Image.frombytes("RGB", (64, 64), _SAMPLE_COLOURS).convert(mode)
    change = ImageChops.difference(sample, transform.apply(sample)).convert("RGB")
    return max(change.tobytes()) <= 1


def _thumbnail(image: Image.Image) -> bytes:
    shrink = THUMBNAIL_SIDE / max(image.size)
    if shrink < 1:
        width, height = (max(1, round(side * shrink)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    output = BytesIO()
    image.save(output, "WEBP", quality=80, method=4)
    return output.getvalue()


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn whatever a decoder raises into an error of ours. Bad files raise many kinds."""
    try:
        yield
    except DashboardError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureTooLargeError(
            _(
                "The picture has far more than {pixels} megapixels. Make it smaller, then upload "
                "it again."
            ).format(pixels=MAX_PIXELS // 1_000_000)
        ) from error
    except MemoryError as error:
        raise PictureTooLargeError(
            _("The picture needs more memory than there is. Make it smaller, then upload it again.")
        ) from error
    except UnidentifiedImageError as error:
        raise NotAPictureError(
            _(
                "The file is not a picture of a kind that is taken, or its beginning is damaged. "
                "Save it as JPEG, PNG, WebP, GIF or AVIF, then upload it again."
            )
        ) from error
    except Exception as error:
        raise _damaged() from error


def _damaged() -> NotAPictureError:
    return NotAPictureError(
        _(
            "The picture is damaged or cut off. Open it in a picture program, save it again as "
            "JPEG or PNG, then upload the new file."
        )
    )
