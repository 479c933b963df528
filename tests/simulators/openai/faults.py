"""What can go wrong, by name: each row of OpenAI's errors, and the oddities of other servers."""

import base64
from collections.abc import Callable
from typing import Any

from tests.simulators.openai.wire import Answer, error, page


def moderation(stage: str) -> Answer:
    return error(
        400,
        "Your request was rejected by the safety system. If you believe this is an error, contact"
        " us at help.openai.com and include the request ID req_7c1. safety_violations=[violence].",
        "moderation_blocked",
        "image_generation_user_error",
        moderation_details={"moderation_stage": stage, "categories": ["violence"]},
    )


def rate_limit(limit: int = 5, wait: str = "12s", headers: dict[str, str] | None = None) -> Answer:
    return error(
        429,
        "Rate limit reached for gpt-image-2.5-flare (for limit gpt-image) in organization org-sim"
        f" on input-images per min: Limit {limit}, Used {limit}, Requested 1."
        f" Please try again in {wait}.",
        "rate_limit_exceeded",
        "input-images",
        headers=headers,
    )


def quota(code: str, message: str) -> Answer:
    return error(429, message, code, "insufficient_quota")


SAFETY = "Your request was rejected as a result of our safety system. Your prompt may contain text"
VERIFY = (
    "Your organization must be verified to use the model `gpt-image-2.5-flare`. Please go to:"
    " https://platform.openai.com/settings/organization/general and click on Verify Organization."
    " If you just verified, it can take up to 15 minutes for access to propagate."
)

# Faults that refuse: nothing is painted, nothing billed.
REFUSALS: dict[str, Answer] = {
    "moderation_blocked": moderation("input"),
    "content_policy_violation": error(400, SAFETY, "content_policy_violation"),
    "unknown_parameter": error(
        400, "Unknown parameter: 'quality'.", "unknown_parameter", param="quality"
    ),
    "invalid_value": error(
        400,
        "Invalid size '4096x4096'. The longest edge must be less than or equal to 3840.",
        "invalid_value",
        "image_generation_user_error",
        "size",
    ),
    "string_above_max_length": error(
        400,
        "Invalid 'prompt': string too long. Expected a string with maximum length 32000, but got a"
        " string with length 40120 instead.",
        "string_above_max_length",
        param="prompt",
    ),
    "invalid_choice": error(
        400,
        "Invalid value: '512x512'. Supported values are: '1024x1024', '1024x1536', '1536x1024',"
        " and 'auto'.",
        "invalid_value",
        param="size",
    ),
    "integer_above_max_value": error(
        400,
        "Invalid 'n': integer above maximum value. Expected a value <= 10, but got 12 instead.",
        "integer_above_max_value",
        param="n",
    ),
    "missing_required_parameter": error(
        400, "Missing required parameter: 'prompt'.", "missing_required_parameter", param="prompt"
    ),
    "invalid_png_output_compression": error(
        400,
        "Compression less than 100 is not supported for PNG output format",
        "invalid_png_output_compression",
        "image_generation_user_error",
    ),
    "invalid_input_fidelity_model": error(
        400,
        "The model 'gpt-image-2.5-flare' does not support the 'input_fidelity' parameter.",
        "invalid_input_fidelity_model",
        "image_generation_user_error",
    ),
    "invalid_image_file": error(
        400,
        "Invalid image file or mode for image 2, please check your image file.",
        "invalid_image_file",
        "image_generation_user_error",
    ),
    "model_gone": error(
        400,
        "The model 'gpt-image-2.5-flare' does not exist.",
        None,
        "image_generation_user_error",
        "model",
    ),
    "model_not_found": error(
        404,
        "The model `gpt-image-2.5-flare` does not exist or you do not have access to it.",
        "model_not_found",
    ),
    "not_found": Answer(404, content=b"", media_type=""),
    "billing_hard_limit_reached": error(
        400,
        "Billing hard limit has been reached.",
        "billing_hard_limit_reached",
        "billing_limit_user_error",
    ),
    "billing_hard_limit_old": error(
        400, "Billing hard limit has been reached", "billing_hard_limit_reached"
    ),
    "credit_balance_exhausted": quota("credit_balance_exhausted", "You have no credits left."),
    "organization_spend_limit_exceeded": quota(
        "organization_spend_limit_exceeded", "The organization's spend limit is reached."
    ),
    "project_spend_limit_exceeded": quota(
        "project_spend_limit_exceeded", "The project's spend limit is reached."
    ),
    "organization_usage_limit_exceeded": quota(
        "organization_usage_limit_exceeded", "The organization's usage limit is reached."
    ),
    "insufficient_quota": quota(
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "payment_required": error(402, "Insufficient credits", "402", None),
    "key_permission": error(
        401,
        "You have insufficient permissions for this operation. Missing scopes:"
        " api.model.images.request.",
        None,
    ),
    "key_revoked": error(401, "This API key was revoked.", None),
    "not_a_member": error(401, "You must be a member of an organization to use the API", None),
    "ip_not_allowed": error(401, "Your IP address is not on the allowlist", "ip_not_authorized"),
    "unverified": error(403, VERIFY),
    "region": error(
        403,
        "Country, region, or territory not supported",
        "unsupported_country_region_territory",
        "request_forbidden",
    ),
    "forbidden": error(403, "You are not allowed to do this", None),
    "azure_forbidden": error(
        403,
        "Your resource has been temporarily blocked because we detected behavior that may violate"
        " our content policy.",
        "Forbidden",
        None,
    ),
    "rate": rate_limit(),
    "rate_plain": error(
        429,
        "You've exceeded the rate limit, please slow down and try again after 51.8 seconds.",
        None,
        None,
    ),
    "rate_retry_after": rate_limit(headers={"retry-after": "1"}),
    "rate_retry_after_300": rate_limit(headers={"retry-after": "300"}),
    "rate_retry_after_ms": rate_limit(headers={"retry-after-ms": "250", "retry-after": "1"}),
    "rate_no_retry": rate_limit(headers={"x-should-retry": "false"}),
    "rate_limit_0": rate_limit(limit=0),
    "slow_down": error(503, "Slow Down", "slow_down", "service_unavailable_error"),
    "slow_down_429": error(429, "Slow Down", "slow_down", "rate_limit_error"),
    "server_error": error(
        500,
        "The server had an error while processing your request.",
        "server_error",
        "server_error",
    ),
    "server_error_null": error(500, "The server had an error.", None, "server_error"),
    "image_generation_failed": error(
        500,
        "Image generation failed",
        "image_generation_failed",
        "image_generation_server_error",
    ),
    "overloaded": error(
        503,
        "The engine is currently overloaded, please try again later",
        "server_is_overloaded",
        "service_unavailable_error",
    ),
    "bad_gateway": page(502, "502 Bad Gateway"),
    "gateway_timeout": page(504, "504 Gateway Time-out"),
    "request_timeout": page(408, "408 Request Time-out"),
    "conflict": error(409, "Another request is changing this resource.", None),
    "no_channel": error(503, "No available channel for this model", None, "new_api_error"),
    "detail_503": Answer(503, {"detail": "The engine is still loading"}),
    "server_error_text": Answer(500, {"error": "server_error", "message": "out of memory"}),
    "redirect": Answer(302, content=b"", headers={"location": "/sign-in"}),
    "redirect_loop": Answer(307, content=b"", headers={"location": "/v1/images/generations"}),
    "too_large": page(413, "413 Request Entity Too Large"),
    "detail_400": Answer(400, {"detail": "Height must be a multiple of 32"}),
    "detail_422": Answer(422, {"detail": [{"loc": ["body", "size"], "msg": "bad size"}]}),
    "detail_404": Answer(404, {"detail": "Not Found"}),
    "plain_error": Answer(400, {"error": "prompt required"}),
    "google": Answer(
        400, [{"error": {"code": 400, "message": "Bad field", "status": "INVALID_ARGUMENT"}}]
    ),
    "litellm_model": error(400, "Invalid model name passed in model=x", "400", None),
    "litellm_key": error(400, "No connected db.", "400", "no_db_connection"),
    "error_in_200": Answer(200, {"error": {"message": "upstream is asleep", "code": "x"}}),
    "blocked_in_200": Answer(200, moderation("input").json),
    "rate_in_200": Answer(200, {"error": {"message": "Too many", "code": 429}}),
    "html": page(200, "Welcome"),
    "json_list": Answer(200, []),
    "json_number": Answer(200, 7),
    "json_null": Answer(200, None),
}


def _with_items(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """A spoiler that changes every item of ``data``."""

    def spoil(body: dict[str, Any]) -> Any:
        return body | {"data": [change(dict(item)) for item in body["data"]]}

    return spoil


def _b64(change: Callable[[str], Any]) -> Callable[[dict[str, Any]], Any]:
    return _with_items(lambda item: item | {"b64_json": change(item["b64_json"])})


def _lines(text: str) -> str:
    return "\n " + "\n".join(text[start : start + 76] for start in range(0, len(text), 76)) + "\n"


_ZEROS = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
_DATA_URL = "data:image/jpeg;base64,"

# Faults that spoil a finished, and therefore billed, answer.
SPOILERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "data_null": lambda body: body | {"data": None},
    "no_data": lambda body: {"created": body["created"]},
    "empty_data": lambda body: body | {"data": []},
    "data_text": lambda body: body | {"data": "soon"},
    "items_of_null": lambda body: body | {"data": [None, 3]},
    "wrong_types": _b64(lambda _: 123),
    "empty_item": _with_items(lambda _: {"b64_json": None, "url": None}),
    "bad_base64": _b64(lambda text: text[:40] + "!?" + text[40:]),
    "not_a_picture": _b64(lambda _: base64.b64encode(b"<html>no</html>").decode()),
    "data_prefix": _b64(lambda text: _DATA_URL + text),
    "data_url": _with_items(lambda item: {"url": _DATA_URL + item["b64_json"]}),
    "whitespace": _b64(_lines),
    "unpadded": _b64(lambda text: text.rstrip("=")),
    "two_items": lambda body: body | {"data": body["data"] * 2},
    "usage_zeros": lambda body: body | {"usage": _ZEROS},
    "usage_text": lambda body: body | {"usage": "plenty"},
    "no_usage": lambda body: {name: value for name, value in body.items() if name != "usage"},
    "other_quality": lambda body: body | {"quality": "high", "size": "1536x1024", "usage": None},
    "url_ftp": _with_items(lambda _: {"url": "ftp://127.0.0.1/picture.png"}),
    "url_nonsense": _with_items(lambda _: {"url": "http://[broken/picture.png"}),
    "no_answer_there": _with_items(lambda _: {"url": "http://127.0.0.1:9/picture.png"}),
}

# Faults in which the picture is an address, and what happens there.
ADDRESSES = (
    "url",
    "url_redirect",
    "url_redirects",
    "url_404",
    "url_flaky",
    "url_503",
    "url_html",
    "url_big",
)

# Faults of the connection itself. All but ``garbage`` have painted, and billed, by then.
CONNECTION = (
    "slow",
    "drip",
    "drop",
    "reset",
    "cut_body",
    "cut_json",
    "empty_body",
    "garbage",
    "text_plain",
)

# Faults that need more than a fixed answer.
OTHER = ("invalid_api_key", "key_echo", "moderation_output", "wrong_size")

FAULTS = (*REFUSALS, *SPOILERS, *ADDRESSES, *CONNECTION, *OTHER)
