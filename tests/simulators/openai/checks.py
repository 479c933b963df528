"""What OpenAI checks in an order, in its order and with its words."""

import re
from typing import Any

from tests.simulators.openai.wire import RefusedError, error

MODELS = {
    "gpt-image-1-mini": "2026-12-01",
    "gpt-image-1.5": "2026-12-01",
    "chatgpt-image-latest": "2026-12-01",
    "gpt-image-2": None,
    "gpt-image-2-2026-04-21": None,
    "gpt-image-2.5-flare": None,
    "gpt-image-2.5-flare-2026-09-08": None,
    "gpt-image-2.5-sunburst": None,
    "gpt-image-2.5-sunburst-2026-09-08": None,
    "gpt-image-2.6-flare": None,
    "gpt-image-2.6-sunburst": None,
}
DEAD_MODELS = ("dall-e-2", "dall-e-3", "gpt-image-1")
FIXED_SIZES = ("1024x1024", "1024x1536", "1536x1024")

KNOWN_KEYS = {
    "background",
    "complexity",
    "frame_count",
    "frame_duration_ms",
    "model",
    "moderation",
    "n",
    "output_compression",
    "output_format",
    "partial_images",
    "prompt",
    "quality",
    "safety_identifier",
    "size",
    "stream",
    "svg",
    "user",
}
EDIT_KEYS = KNOWN_KEYS | {"image", "input_fidelity", "markup", "mask"}


def _invalid(message: str, param: str, type: str = "image_generation_user_error") -> RefusedError:
    return RefusedError(error(400, message, "invalid_value", type, param))


def _one_of(body: dict[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = body.get(name)
    if value is None:
        return default
    if value not in allowed:
        listed = ", ".join(f"'{word}'" for word in allowed[:-1]) + f", and '{allowed[-1]}'"
        message = f"Invalid value: '{value}'. Supported values are: {listed}."
        raise _invalid(message, name, "invalid_request_error")
    return str(value)


def check_openai(body: dict[str, Any], is_edit: bool) -> dict[str, Any]:
    """Return the order with its defaults resolved, or refuse it as OpenAI does."""
    for name in body:
        if name not in (EDIT_KEYS if is_edit else KNOWN_KEYS):
            message = f"Unknown parameter: '{name}'."
            raise RefusedError(error(400, message, "unknown_parameter", param=name))
    model = body.get("model") or "dall-e-2"
    if model in DEAD_MODELS:
        message = f"The model '{model}' does not exist."
        raise RefusedError(error(400, message, None, "image_generation_user_error", "model"))
    if model not in MODELS:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise RefusedError(error(404, message, "model_not_found"))
    if "complexity" in body and not model.startswith("gpt-image-2.6"):
        message = "Unknown parameter: 'complexity'."
        raise RefusedError(error(400, message, "unknown_parameter", param="complexity"))

    prompt = _checked_prompt(body, 32_000)
    count = _checked_count(body, 10)
    if is_edit and not body.get("image"):
        message = "Missing required parameter: 'image'."
        raise RefusedError(error(400, message, "missing_required_parameter", param="image"))
    size = _checked_size(model, body)
    is_newer = model.startswith(("gpt-image-2.5", "gpt-image-2.6"))
    words = ("low", "medium", "high", "xhigh", "max") if is_newer else ("low", "medium", "high")
    quality = _one_of(body, "quality", (*words, "auto"), "auto")
    kind = _one_of(body, "output_format", ("png", "jpeg", "webp"), "png")
    compression = body.get("output_compression", 100)
    if not isinstance(compression, int) or not 0 <= compression <= 100:
        raise _invalid("Invalid value for 'output_compression'.", "output_compression")
    if kind == "png" and compression < 100:
        message = "Compression less than 100 is not supported for PNG output format"
        code = "invalid_png_output_compression"
        raise RefusedError(error(400, message, code, "image_generation_user_error"))
    background = _one_of(body, "background", ("opaque", "transparent", "auto"), "auto")
    if background == "transparent" and kind == "jpeg":
        message = "Transparent background is not supported for JPEG output format"
        raise _invalid(message, "background")
    _one_of(body, "moderation", ("low", "auto"), "auto")
    return {
        "model": model,
        "prompt": prompt,
        "n": count,
        "size": "1024x1024" if size == "auto" else size,
        "quality": "low" if quality == "auto" else quality,
        "output_format": kind,
        "background": background,
        "stream": bool(body.get("stream")),
        "partial_images": int(body.get("partial_images") or 0),
        "wants_url": False,
        "images": len(body.get("image") or ()) if is_edit else 0,
    }


def check_other(body: dict[str, Any]) -> dict[str, Any]:
    """Return the order as another server takes it: any model, and DALL-E 3 by its old rules."""
    is_dall_e = body.get("model") == "dall-e-3"
    prompt = _checked_prompt(body, 4000)
    count = _checked_count(body, 1 if is_dall_e else 4)
    size = str(body.get("size") or "1024x1024")
    if is_dall_e:
        size = _one_of(body, "size", ("1024x1024", "1792x1024", "1024x1792"), "1024x1024")
        _one_of(body, "quality", ("standard", "hd"), "standard")
        _one_of(body, "style", ("vivid", "natural"), "vivid")
    wanted = _one_of(body, "response_format", ("url", "b64_json"), "url")
    return {
        "model": body.get("model"),
        "prompt": prompt,
        "n": count,
        "size": size if re.fullmatch(r"\d+x\d+", size) else "512x512",
        "quality": body.get("quality"),
        "output_format": "png",
        "background": "opaque",
        "stream": False,
        "partial_images": 0,
        "wants_url": wanted == "url",
        "images": 0,
    }


def _checked_prompt(body: dict[str, Any], longest: int) -> str:
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        message = "Missing required parameter: 'prompt'."
        raise RefusedError(error(400, message, "missing_required_parameter", param="prompt"))
    if len(prompt) > longest:
        message = (
            f"Invalid 'prompt': string too long. Expected a string with maximum length {longest},"
            f" but got a string with length {len(prompt)} instead."
        )
        raise RefusedError(error(400, message, "string_above_max_length", param="prompt"))
    return prompt


def _checked_count(body: dict[str, Any], most: int) -> int:
    count = body.get("n", 1)
    if type(count) is not int:
        message = "Invalid type for 'n': expected an integer."
        raise RefusedError(error(400, message, "invalid_type", param="n"))
    if count > most or count < 1:
        side, code, limit = ("above maximum", "integer_above_max_value", f"<= {most}")
        if count < 1:
            side, code, limit = ("below minimum", "integer_below_min_value", ">= 1")
        message = (
            f"Invalid 'n': integer {side} value. Expected a value {limit}, but got {count} instead."
        )
        raise RefusedError(error(400, message, code, param="n"))
    return count


def _checked_size(model: str, body: dict[str, Any]) -> str:
    if not model.startswith("gpt-image-2"):
        return _one_of(body, "size", (*FIXED_SIZES, "auto"), "auto")
    size = str(body.get("size") or "auto")
    if size == "auto":
        return size
    sides = re.fullmatch(r"(\d+)x(\d+)", size)
    if not sides:
        raise _invalid(f"Invalid size '{size}'. Expected WIDTHxHEIGHT.", "size")
    width, height = int(sides[1]), int(sides[2])
    problem = None
    if width % 16 or height % 16:
        problem = "Width and height must both be divisible by 16."
    elif max(width, height) > 3840:
        problem = "The longest edge must be less than or equal to 3840."
    elif max(width, height) > 3 * min(width, height):
        problem = "The ratio of the long edge to the short edge must be at most 3:1."
    elif width * height < 655_360:
        problem = "Requested resolution is below the current minimum pixel budget."
    elif width * height > 8_294_400:
        problem = "Requested resolution exceeds the current pixel budget."
    if problem:
        raise _invalid(f"Invalid size '{size}'. {problem}", "size")
    return size


def read_fields(form: dict[str, Any]) -> dict[str, Any]:
    """Return a form's fields as the JSON that they stand for."""
    body: dict[str, Any] = {}
    for name, values in form.items():
        name = name.removesuffix("[]")
        if name in ("image", "mask", "markup"):
            body[name] = [*body.get(name, []), *values]
            continue
        text = values[-1] if isinstance(values, list) else values
        if isinstance(text, bytes):
            text = text.decode(errors="replace")
        if name in ("n", "output_compression", "partial_images") and str(text).isdigit():
            body[name] = int(text)
        elif name == "stream":
            body[name] = text == "true"
        else:
            body[name] = text
    return body
