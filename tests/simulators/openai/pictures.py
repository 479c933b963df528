"""Pictures that a seed decides, what they cost in tokens, and how they are streamed."""

import hashlib
import io
import json
import struct
import zlib
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any, cast

from PIL import Image, ImageDraw

from tests.simulators.openai.checks import FIXED_SIZES
from tests.simulators.openai.wire import Answer

FIXED_TOKENS = {"low": (272, 408, 400), "medium": (1056, 1584, 1568), "high": (4160, 6240, 6208)}


def tokens(model: str, size: str, quality: str) -> int:
    """The output tokens of one picture, by OpenAI's own calculator."""
    if not model.startswith("gpt-image-2"):
        return FIXED_TOKENS[quality][FIXED_SIZES.index(size)]
    factors = {"low": 16, "medium": 24, "high": 48, "xhigh": 64, "max": 96}
    if model.startswith("gpt-image-2") and not model.startswith(("gpt-image-2.5", "gpt-image-2.6")):
        factors = {"low": 16, "medium": 48, "high": 96}
    long, short = sorted((int(side) for side in size.split("x")), reverse=True)
    factor = factors[quality]
    rows = round(Fraction(factor * short, long))
    found = ceil(Fraction(factor * rows * (2_000_000 + long * short), 4_000_000))
    # Nobody has published the count of 2.6; resellers report three to four times that of 2.5.
    return found * 3 if model.startswith("gpt-image-2.6") and factor < 48 else found


def usage(order: dict[str, Any]) -> dict[str, Any]:
    each = tokens(order["model"], order["size"], order["quality"])
    out = order["n"] * (each + 100 * order["partial_images"])
    words = order["n"] * (ceil(len(order["prompt"]) / 4) + 6)
    pictures = 512 * order["images"]
    return {
        "input_tokens": words + pictures,
        "output_tokens": out,
        "total_tokens": words + pictures + out,
        "input_tokens_details": {"text_tokens": words, "image_tokens": pictures},
        "output_tokens_details": {"image_tokens": out, "text_tokens": 0},
    }


def streamed(body: dict[str, Any], order: dict[str, Any]) -> Answer:
    shared = {name: body[name] for name in ("size", "quality", "background", "output_format")}
    shared |= body["data"][0] | {"created_at": body["created"]}
    stem = "image_edit" if order["images"] else "image_generation"
    events = [
        {"type": f"{stem}.partial_image", "partial_image_index": index, **shared}
        for index in range(order["partial_images"])
    ]
    events.append({"type": f"{stem}.completed", "usage": body["usage"], **shared})
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return Answer(content=text.encode(), media_type="text/event-stream")


def paint(seed: str, size: str, kind: str, is_clear: bool = False) -> bytes:
    """A picture that only ``seed`` decides: one of 64 motifs, and bytes that are all its own.

    Encoding is the slow part, so a motif is encoded once and the seed goes into a comment.
    """
    digest = hashlib.sha256(seed.encode("utf-8", "replace")).digest()
    data = _motif(digest[0] % 32, digest[1] % 2, size, kind, is_clear)
    note = digest.hex().encode()
    if kind == "jpeg":
        return data[:2] + b"\xff\xfe" + struct.pack(">H", len(note) + 2) + note + data[2:]
    if kind == "png":
        text = b"tEXtSeed\0" + note
        chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
        return data[:33] + chunk + data[33:]  # after the signature and IHDR
    chunk = b"SEED" + struct.pack("<I", len(note)) + note  # WebP: readers skip what they don't know
    return data[:4] + struct.pack("<I", len(data) - 8 + len(chunk)) + data[8:] + chunk


@lru_cache(maxsize=512)
def _motif(hue: int, shape: int, size: str, kind: str, is_clear: bool) -> bytes:
    width, height = (int(side) for side in size.split("x"))
    ground = Image.new("HSV", (1, 1), (hue * 8, 170, 210)).convert("RGB").getpixel((0, 0))
    figure = Image.new("HSV", (1, 1), ((hue * 8 + 128) % 256, 140, 240)).convert("RGB")
    picture = Image.new("RGB", (width, height), cast(tuple[int, int, int], ground))
    if is_clear:
        picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    box = (width // 4, height // 4, width * 3 // 4, height * 3 // 4)
    draw = ImageDraw.Draw(picture)
    colour = cast(tuple[int, int, int], figure.getpixel((0, 0)))
    (draw.ellipse if shape else draw.rectangle)(box, fill=colour)
    out = io.BytesIO()
    options: dict[str, Any] = {"png": {"compress_level": 1}, "jpeg": {"quality": 90}}.get(kind, {})
    picture.save(out, kind.upper(), **options)
    return out.getvalue()
