"""What an image service complains about, and what a marketer is told.

The rules go by ``code``, which OpenAI calls the stable part of an error, before they go by status:
an empty account, for one, arrives as 400 and as 429.
https://developers.openai.com/api/docs/guides/error-codes. No service's own words are passed on
before they are searched for keys: OpenAI quotes the ends of a key that it refuses.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

from core.errors import Problem, ServiceError
from core.language import _

_BILLING_CODES = {
    "billing_hard_limit_reached",
    "credit_balance_exhausted",
    "insufficient_quota",
    "organization_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "project_spend_limit_exceeded",
}
_BLOCKED_CODES = {"moderation_blocked", "content_policy_violation", "content_filter"}
_SERVER_CODES = {"image_generation_failed", "server_error", "server_is_overloaded"}

_TIMED_OUT_STATUSES = {408, 504, 524}
"""A gateway gave up waiting, while the painter behind it may go on, and bill."""


class ServiceAnswerError(Exception):
    """What the service answered, cleaned of keys: the cause of a ``ServiceError``, for the log."""


@dataclass(frozen=True)
class Complaint:
    """An error as a service sends it, whatever form it has."""

    status: int | None
    code: str = ""
    type: str = ""
    message: str = ""
    stage: str = ""

    @classmethod
    def parse(cls, status: int | None, body: object) -> "Complaint":
        """Read a complaint: OpenAI's, FastAPI's, Google's in a list, plain text or HTML."""
        if isinstance(body, list) and body:
            body = body[0]
        if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping | str):
            body = body["error"]
        if isinstance(body, str):
            return cls(status, message="" if body.lstrip().startswith("<") else body.strip())
        if not isinstance(body, Mapping):
            return cls(status)
        code = str(body.get("code") or "")
        if status == 200 and re.fullmatch(r"[45]\d\d", code):
            status = int(code)  # a relay that hides the real status
        details = body.get("moderation_details")
        return cls(
            status,
            code=code.lower(),
            type=str(body.get("type") or "").lower(),
            message=_message(body),
            stage=str(details.get("moderation_stage", "")) if isinstance(details, Mapping) else "",
        )

    def says(self, pattern: str) -> bool:
        """Whether the message matches a pattern, in any case."""
        return re.search(pattern, self.message, re.IGNORECASE | re.DOTALL) is not None

    @property
    def problem(self) -> Problem:
        """What kind of trouble this is."""
        status = self.status
        if (
            self.code in _BILLING_CODES
            or self.type in ("insufficient_quota", "billing_limit_user_error")
            or status == 402
            or self.says(r"billing hard limit|exceeded your current quota")
        ):
            return Problem.BILLING
        if self.code in _BLOCKED_CODES or (
            status != 429 and self.says(r"safety system|content policy|\bflagged\b")
        ):
            return Problem.BLOCKED
        if self.says(r"must be verified"):
            return Problem.VERIFY
        if self.code.startswith("unsupported_country") or self.says(r"country, region"):
            return Problem.REGION
        if self.code == "invalid_api_key" or self.says(r"no connected db"):  # LiteLLM's bad key
            return Problem.KEY
        if status == 401:
            refused = r"permission|scope|member of an org|\bip\b|address"
            return Problem.PERMISSION if self.says(refused) else Problem.KEY
        if self.code in ("model_not_found", "deploymentnotfound") or self.says(
            r"\bmodel\b.{0,80}(does not exist|not found)|invalid model name|no such model"
        ):
            return Problem.MODEL
        if self.has_no_quota:
            return Problem.PERMISSION
        if status == 429 or self.code in ("slow_down", "rate_limit_exceeded"):
            return Problem.RATE
        if status in _TIMED_OUT_STATUSES:
            return Problem.TIMEOUT
        if status is not None and status >= 500:
            return Problem.SERVER
        if self.code in _SERVER_CODES:
            return Problem.SERVER
        if status == 403:
            return Problem.PERMISSION
        if status in (404, 405):
            no_such_page = r"^\W*(404 )?(page )?not found|invalid url|method not allowed"
            is_lost = not self.message or self.says(no_such_page)
            return Problem.WRONG_ANSWER if is_lost else Problem.MODEL
        if status is None or status < 400:
            return Problem.WRONG_ANSWER
        return Problem.REQUEST

    @property
    def has_no_quota(self) -> bool:
        """Whether the limit that was reached is zero, so that no waiting helps."""
        return self.status == 429 and self.says(r"\blimit:?\s+0(?![.\d])")


def _message(body: Mapping[str, object]) -> str:
    message = body.get("message") or body.get("detail") or ""
    if isinstance(message, list):  # FastAPI's list of what is wrong with each field
        parts = [part.get("msg", "") if isinstance(part, Mapping) else part for part in message]
        return "; ".join(str(part) for part in parts)
    return str(message)


def wait_asked_for(headers: Mapping[str, str], message: str) -> float | None:
    """Return how many seconds the service wants to be left alone; None if it does not say."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            seconds = float(text) * unit
        except ValueError:
            seconds = _seconds_until(text)
        if isfinite(seconds) and seconds > 0:
            return seconds
    told = re.search(r"(?:again|retry) (?:in|after) ((?:[\d.]+ ?[a-z]+ ?)+)", message.lower())
    if not told:
        return None
    units = {"ms": 0.001, "mi": 60.0, "m": 60.0, "h": 3600.0, "ho": 3600.0, "s": 1.0, "se": 1.0}
    seconds = 0.0
    for number, word in re.findall(r"(\d+(?:\.\d+)?) ?([a-z]+)", told[1]):
        key = "ms" if word.startswith("milli") else word[:2]
        seconds += float(number) * units.get(key, 0.0)
    return seconds or None


def _seconds_until(date: str) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return 0.0
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def without_keys(text: str, key: str) -> str:
    """Return ``text`` as it may be shown: no key in it, whole or masked."""
    if len(key) >= 8:
        text = text.replace(key, "[key]")
    text = re.sub(r"\bsk-[\w*.…-]+", "[key]", text)
    text = re.sub(r"(?i)\bbearer\s+\S+", "[key]", text)
    return re.sub(r"\S*(?:\*{2,}|\.{3,}|…)[\w-]+", "[key]", text)


@dataclass(frozen=True)
class Troubles:
    """Turns what went wrong with one service into a ``ServiceError`` that can be shown."""

    service: str
    account: str
    model: str
    key: str = field(repr=False)

    def complained(
        self, complaint: Complaint, headers: Mapping[str, str] | None = None
    ) -> ServiceError:
        """The service said what is wrong."""
        headers = headers or {}
        problem = complaint.problem
        error = ServiceError(
            self._sentence(complaint),
            problem=problem,
            permanent=problem not in (Problem.RATE, Problem.SERVER)
            or headers.get("x-should-retry") == "false",
            retry_after=wait_asked_for(headers, complaint.message),
            may_be_billed=problem == Problem.TIMEOUT
            or (problem == Problem.BLOCKED and complaint.stage == "output"),
        )
        return self._caused(
            error,
            f"HTTP {complaint.status}, code {complaint.code!r}, type {complaint.type!r}, request"
            f" {headers.get('x-request-id')}: {complaint.message[:500]}",
        )

    def too_slow(self, seconds: float, *, was_sent: bool) -> ServiceError:
        """No answer came in time."""
        if not was_sent:
            return self.unreachable("timeout while connecting", was_sent=False)
        error = self._timed_out(
            _(
                "{service} did not answer within {seconds:.0f} seconds. The picture may have been"
                " made and billed all the same, so it was not asked for again. Look at the usage"
                " of your account at {account}, then try again."
            ).format(service=self.service, seconds=seconds, account=self.account)
        )
        return self._caused(error, "timeout")

    def unreachable(self, reason: str, *, was_sent: bool) -> ServiceError:
        """There was no connection, or it broke."""
        if was_sent:
            text = _(
                "The connection to {service} broke before the picture arrived. It may have been"
                " made and billed all the same, so it was not asked for again. Look at the usage"
                " of your account at {account}, then try again."
            )
        else:
            text = _(
                "{service} can't be reached; nothing was asked for and nothing billed. Check the"
                " internet connection of this computer and OPENAI_BASE_URL, then try again."
            )
        error = ServiceError(
            text.format(service=self.service, account=self.account),
            problem=Problem.NETWORK,
            permanent=True,
            may_be_billed=was_sent,
        )
        return self._caused(error, reason)

    def not_an_image_service(self, reason: str) -> ServiceError:
        """Something answered that is no image service at all."""
        return self._wrong(
            _(
                "What answers at {service} is not an image service. Check OPENAI_BASE_URL; it"
                " usually ends in /v1."
            ),
            reason,
        )

    def no_picture(self, reason: str) -> ServiceError:
        """The answer can't be used. The picture may be billed, so this is not asked again."""
        error = self._wrong(
            _(
                "{service} answered without a usable picture. Try again once; if it happens again,"
                " try another model (IMAGE_MODEL) or upload a picture."
            ),
            reason,
        )
        error.may_be_billed = True
        return error

    def no_download(self, reason: str, *, permanent: bool = True) -> ServiceError:
        """The picture was made, but could not be fetched from where the answer said."""
        error = self._wrong(
            _(
                "{service} made the picture, but it could not be downloaded. Try again; if it"
                " happens again, tell whoever runs that service."
            ),
            reason,
        )
        error.permanent, error.may_be_billed = permanent, True
        return error

    def _wrong(self, text: str, reason: str) -> ServiceError:
        error = ServiceError(
            text.format(service=self.service), problem=Problem.WRONG_ANSWER, permanent=True
        )
        return self._caused(error, reason)

    def _timed_out(self, text: str) -> ServiceError:
        return ServiceError(text, problem=Problem.TIMEOUT, permanent=True, may_be_billed=True)

    def _caused(self, error: ServiceError, reason: str) -> ServiceError:
        error.__cause__ = ServiceAnswerError(without_keys(reason, self.key))
        return error

    def _sentence(self, complaint: Complaint) -> str:
        detail = " ".join(without_keys(complaint.message, self.key).split())[:200].rstrip(" .")
        return self._text(complaint).format(
            service=self.service,
            account=self.account,
            model=self.model,
            detail=detail or _("it gave no reason"),
        )

    def _text(self, complaint: Complaint) -> str:
        match complaint.problem:
            case Problem.KEY:
                return _(
                    "{service} does not accept the key. Make a new key at {account}, set it as"
                    " OPENAI_API_KEY and start Capista again."
                )
            case Problem.PERMISSION if complaint.has_no_quota:
                return _(
                    "{service} allows your account no pictures with {model} yet. Verify the"
                    " organization and add credit at {account}, or choose another IMAGE_MODEL."
                )
            case Problem.PERMISSION:
                return _(
                    "{service} does not allow this key to make pictures with {model}. Give the key"
                    " that permission at {account}, or set another OPENAI_API_KEY."
                )
            case Problem.VERIFY:
                return _(
                    "{service} wants your organization verified before it paints with {model}."
                    " Verify it in the settings at {account}, wait 15 minutes, then try again."
                )
            case Problem.REGION:
                return _(
                    "{service} does not serve the country this computer is in. Upload a picture"
                    " instead, or set OPENAI_BASE_URL to a service that is offered there."
                )
            case Problem.BILLING:
                return _(
                    "Your account with {service} has no money left or has reached its spending"
                    " limit. Add credit or raise the limit at {account}, then try again."
                )
            case Problem.BLOCKED if complaint.stage == "output":
                return _(
                    "{service} painted this but withheld the picture under its safety rules."
                    " Reword the prompt to something milder and try again."
                )
            case Problem.BLOCKED:
                return _(
                    "{service} refused to paint this: the prompt goes against its safety rules."
                    " Reword the prompt and try again."
                )
            case Problem.RATE:
                return _(
                    "{service} is being asked for more pictures than your account may have in a"
                    " minute. Wait some minutes and try again; a lower IMAGES_PER_MINUTE prevents"
                    " this."
                )
            case Problem.MODEL:
                return _(
                    "{service} has no model {model}, or this key may not use it. Set IMAGE_MODEL"
                    " to one that {account} lists for your account, and start Capista again."
                )
            case Problem.SERVER:
                return _(
                    "{service} has trouble of its own right now; nothing is wrong on your side."
                    " Try again in some minutes."
                )
            case Problem.TIMEOUT:
                return _(
                    "{service} took too long. The picture may have been made and billed all the"
                    " same, so it was not asked for again. Look at the usage of your account at"
                    " {account}, then try again."
                )
            case Problem.WRONG_ANSWER if complaint.status in (404, 405, *range(300, 400)):
                return _(
                    "What answers at {service} is not an image service. Check OPENAI_BASE_URL; it"
                    " usually ends in /v1."
                )
            case Problem.WRONG_ANSWER:
                return _("{service} sent no picture: {detail}. Try again, or upload a picture.")
            case _:
                return _(
                    "{service} can't do this: {detail}. Change the prompt, IMAGE_SIZE or"
                    " IMAGE_QUALITY and try again."
                )
