"""A large photograph, from its bytes to the stored file with its thumbnail: the CPU it takes."""

import io
import os
import struct
import time
from statistics import median
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from benchmarks.harness import Row, folder, tell
from core.images import store_picture
from core.picture_store import FolderStore
from core.pictures import accept_upload

_LIMIT_MS = 500
_TIMES = 5
_SIZE = (4000, 3000)
# Display P3 in the profile connection space (D50), red, green and blue.
_WIDE_GAMUT = {
    b"rXYZ": (0.51512, 0.24120, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}


def measure() -> list[Row]:
    """Take a 12-megapixel JPEG in, as a camera, the web and a telephone write it."""
    image = photograph()
    kinds: dict[str, dict[str, Any]] = {
        "as a camera writes it": {},
        "progressive": {"progressive": True},
        "with a wide-gamut profile (Display P3)": {"icc_profile": wide_gamut_profile()},
    }
    rows = []
    for kind, options in kinds.items():
        data = _jpeg(image, **options)
        tell(f"a JPEG of {len(data) / 1e6:.1f} MB, {kind}")
        milliseconds = _cpu_of(data)
        rows.append(
            Row(
                f"a 12-megapixel JPEG ({len(data) / 1e6:.1f} MB, {kind}),"
                " bytes in to stored with thumbnail",
                f"≤ {_LIMIT_MS} ms of CPU",
                f"{milliseconds:.0f} ms of CPU (median of {_TIMES})",
                milliseconds <= _LIMIT_MS,
            )
        )
    return rows


def photograph() -> Image.Image:
    """Return a picture with the statistics of a photograph: detail at every scale, and grain."""
    dice = np.random.default_rng(1)
    width, height = _SIZE
    tones = np.zeros((height, width, 3), dtype=np.float32)
    cells = 4
    while cells < width:
        rows = max(1, cells * height // width)
        grey = dice.normal(0, 1, (rows, cells, 1))
        spots = grey + 0.35 * dice.normal(0, 1, (rows, cells, 3))
        for channel in range(3):
            layer = Image.fromarray(spots[:, :, channel].astype(np.float32))
            tones[:, :, channel] += np.asarray(layer.resize(_SIZE, Image.Resampling.BICUBIC)) * (
                150 / cells**0.42
            )
        cells *= 2
    tones += dice.normal(0, 3.5, (height, width, 1)).astype(np.float32)
    return Image.fromarray(np.clip(tones + 118, 0, 255).astype(np.uint8))


def wide_gamut_profile() -> bytes:
    """Return Pillow's sRGB profile with the primaries of Display P3."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (tags,) = struct.unpack_from(">I", profile, 128)
    for at in range(132, 132 + 12 * tags, 12):
        name, start, _size = struct.unpack_from(">4sII", profile, at)
        if name in _WIDE_GAMUT:
            fixed = (round(value * 65536) for value in _WIDE_GAMUT[name])
            struct.pack_into(">3i", profile, start + 8, *fixed)
    return bytes(profile)


def _jpeg(image: Image.Image, **options: Any) -> bytes:
    output = io.BytesIO()
    image.save(output, "JPEG", quality=92, subsampling="4:2:0", **options)
    return output.getvalue()


def _take_in(data: bytes) -> None:
    with folder() as path:  # a new one each time: what is stored already would not be written
        store_picture(FolderStore(path), accept_upload(data))


def _cpu_of(data: bytes) -> float:
    """Return the median of the CPU that it takes, in milliseconds, after a first time."""
    _take_in(data)
    taken = []
    for _time in range(_TIMES):
        start = _cpu()
        _take_in(data)
        taken.append((_cpu() - start) * 1000)
    return median(taken)


def _cpu() -> float:
    """Return the CPU of this process and of those it has started and seen ending."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
