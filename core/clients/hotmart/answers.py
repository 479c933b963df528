"""What an HTTP answer of Hotmart's means: a JSON object, or one of our errors.

Statuses and error names: https://developers.hotmart.com/docs/en/start/http-response-codes/
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3

from core.clients.hotmart.parsing import decode
from core.clients.hotmart.secrecy import ScrubbedError, hide
from core.errors import Problem, ServiceError
from core.language import _


class TokenRefusedError(ServiceError):
    """The access token is past its time, or was never good."""


class NothingThereError(ServiceError):
    """Hotmart has nothing under this address."""


class TooSlowError(ServiceError):
    """The question took Hotmart too long; a narrower one may not."""


def read_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, secrets: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the JSON object of an answer; an empty body is an empty object.

    :raises ServiceError: if the answer is anything else
    """
    if not 200 <= status < 300:
        error = refusal(status, headers, body)
        raise error from ScrubbedError(hide(_for_the_log(status, body), *secrets))
    if not body.strip():
        return {}
    kind = headers.get("Content-Type", "json")
    if "json" not in kind.lower():
        raise not_hotmart() from ScrubbedError(f"HTTP {status} with {kind}")
    try:
        fields = decode(body)
    except (ValueError, RecursionError) as error:
        # The parser's error keeps the whole body, which may hold a token: only its text goes on.
        trouble = f"HTTP {status}, {len(body)} bytes: {type(error).__name__}"
    else:
        if isinstance(fields, dict):
            return fields
        trouble = f"HTTP {status} with a JSON {type(fields).__name__}"
    raise ServiceError(
        _("Hotmart's answer arrived incomplete or garbled. Try again in a few minutes."),
        problem=Problem.WRONG_ANSWER,
        permanent=False,
    ) from ScrubbedError(trouble)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> ServiceError:
    """Return the error that an answer other than 2xx stands for."""
    code = error_code(body)
    if status == 403 or code == "unauthorized_client":  # the sandbox says it with 401
        return ServiceError(
            _(
                "Hotmart does not let these credentials read what Capista needs. Create new ones "
                "under Tools > Developer Credentials, in the account whose offers you want."
            ),
            problem=Problem.PERMISSION,
            permanent=True,
        )
    if status == 401:
        return TokenRefusedError(
            _(
                "Hotmart gave Capista access and then refused it. Create new credentials under "
                "Tools > Developer Credentials and enter them again."
            ),
            problem=Problem.KEY,
            permanent=True,
        )
    if status == 404:
        return NothingThereError(
            _(
                "Hotmart does not know the address that Capista asked. "
                "Check HOTMART_API_URL and HOTMART_AUTH_URL."
            ),
            problem=Problem.REQUEST,
            permanent=True,
        )
    if status == 429:
        return ServiceError(
            _(
                "Hotmart takes no more requests from this account for the moment. "
                "Wait a few minutes and try again."
            ),
            problem=Problem.RATE,
            permanent=False,
            retry_after=wait_asked_for(headers),
        )
    if status in (408, 502, 504):
        return TooSlowError(
            _("Hotmart took too long to answer. Try again in a few minutes."),
            problem=Problem.TIMEOUT if status == 408 else Problem.SERVER,
            permanent=False,
        )
    if status >= 500:
        return ServiceError(
            _("Hotmart has a problem of its own ({status}). Try again in a few minutes.").format(
                status=status
            ),
            problem=Problem.SERVER,
            permanent=False,
            retry_after=_seconds(headers.get("Retry-After")),
        )
    if status < 400:
        return not_hotmart()
    return ServiceError(
        _(
            "Hotmart refused what Capista asked ({code}). Hotmart may have changed; "
            "look for a newer Capista, or report this."
        ).format(code=code or status),
        problem=Problem.REQUEST,
        permanent=True,
    )


def not_hotmart() -> ServiceError:
    """Return the error for an answer that no API gives, such as a web page."""
    return ServiceError(
        _(
            "The address does not look like Hotmart's API: it did not answer as the API does. "
            "Check HOTMART_API_URL and HOTMART_AUTH_URL, or remove them."
        ),
        problem=Problem.WRONG_ANSWER,
        permanent=True,
    )


def bad_credentials() -> ServiceError:
    """Return the error for credentials that got no access token."""
    return ServiceError(
        _(
            "Hotmart did not accept the credentials. Check HOTMART_CLIENT_ID and "
            "HOTMART_CLIENT_SECRET (and HOTMART_BASIC, if you set it): copy them again from "
            "Tools > Developer Credentials."
        ),
        problem=Problem.KEY,
        permanent=True,
    )


def network_trouble(error: Exception) -> ServiceError:
    """Return our error for one of ``requests``."""
    stalled = any(
        isinstance(part, urllib3.exceptions.ReadTimeoutError) for part in (error, *error.args)
    )
    if stalled or isinstance(error, requests.ReadTimeout):
        return TooSlowError(
            _("Hotmart took too long to answer. Try again in a few minutes."),
            problem=Problem.TIMEOUT,
            permanent=False,
        )
    if isinstance(error, requests.exceptions.SSLError):
        return ServiceError(
            _(
                "The connection to Hotmart is not safe: its certificate was not accepted. Check "
                "the clock and the proxy of the machine that runs Capista."
            ),
            problem=Problem.NETWORK,
            permanent=True,
        )
    if isinstance(error, ValueError):  # requests' way to say: not a web address
        return ServiceError(
            _(
                "Hotmart's address can't be used. Check HOTMART_API_URL and HOTMART_AUTH_URL, "
                "or remove them."
            ),
            problem=Problem.NETWORK,
            permanent=True,
        )
    return ServiceError(
        _(
            "Hotmart could not be reached. Check the internet connection of the machine that "
            "runs Capista, and try again."
        ),
        problem=Problem.NETWORK,
        permanent=False,
    )


def wait_asked_for(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that an answer gives, if it does."""
    wait = _seconds(headers.get("Retry-After"))
    return wait if wait is not None else _seconds(headers.get("RateLimit-Reset"))


def pause_after(headers: Mapping[str, str]) -> float:
    """Return the seconds until the next request is welcome: 0 while some are left, or unknown."""
    left = (headers.get("RateLimit-Remaining"), headers.get("X-RateLimit-Remaining-Minute"))
    if "0" not in left:
        return 0.0
    return _seconds(headers.get("RateLimit-Reset")) or 0.0


def error_code(body: bytes) -> str:
    """Return the name Hotmart gives to an error, or nothing."""
    try:
        code = decode(body).get("error")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return code if isinstance(code, str) and code.isidentifier() else ""


def _for_the_log(status: int, body: bytes) -> str:
    return f"HTTP {status}: {body[:500].decode('utf-8', 'replace')}"


def _seconds(value: str | None) -> float | None:
    """Return the seconds of a header: a number, or the date that ``Retry-After`` may have."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
