"""The painter that asks an image service, and pays for it."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import openai
from openai.types import ImagesResponse

from core import prices
from core.clients.openai_images import rules
from core.clients.openai_images.answers import download, read_picture
from core.clients.openai_images.problems import Complaint, Troubles
from core.clients.patience import patiently
from core.errors import ServiceError
from core.painting import Painting, PaintOrder
from core.prompts import check_prompt

_T = TypeVar("_T")
log = logging.getLogger(__name__)

_OPENAI_URL = "https://api.openai.com/v1"

# JPEG, because a picture is kept as it came and goes on to Hotmart and Google Ads, which take
# PNG and JPEG of 5 MB at most (https://support.google.com/google-ads/answer/14530211): a PNG of
# a large size exceeds that, a JPEG at 90 does not. OpenAI also makes JPEG faster.
_FILE = {"output_format": "jpeg", "output_compression": 90}

# Raised before a byte of the request was sent, so nothing can have been billed.
_NEVER_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)


class Bounded(httpx2.SyncByteStream):
    """The body of an answer, for so many seconds in all.

    The timeout of the SDK is for each piece: an answer that drips would take for ever.
    """

    def __init__(self, stream: httpx2.SyncByteStream, seconds: float) -> None:
        self._stream = stream
        self._ends_at = time.monotonic() + seconds

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            if time.monotonic() > self._ends_at:
                raise httpx2.ReadTimeout("the answer does not come to its end")
            yield piece

    def close(self) -> None:
        """Let go of the connection."""
        self._stream.close()


def _bound(seconds: float) -> Callable[[httpx2.Response], None]:
    def bound(response: httpx2.Response) -> None:
        if isinstance(response.stream, httpx2.SyncByteStream):
            response.stream = Bounded(response.stream, seconds)

    return bound


class OpenAIImagesPainter:
    """Paints covers with OpenAI's Images API, or a server that imitates it.

    ``model``, ``quality`` and ``size`` are what is really asked for; ``notice`` is a sentence for
    the screen when that is not what the settings say. Safe to share between threads.
    """

    is_paid = True

    def __init__(
        self,
        api_key: str,
        base_url: str | None,
        model: str,
        quality: str,
        size: str,
        timeout: float = 300.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Check everything that can be checked without asking.

        :raises SettingsError: naming the setting that is wrong
        """
        key = rules.check_key(api_key)
        base_url = rules.check_base_url(base_url)
        self.model, self.notice = rules.effective_model(model, base_url)
        self.quality: str | None = rules.check_quality(self.model, quality)
        self.size: str | None = rules.check_size(self.model, size)
        self._is_openai_dialect = rules.speaks_openai(self.model, base_url)
        if not self._is_openai_dialect:
            self.size = rules.size_elsewhere(self.model, self.size)
            self.quality = rules.quality_elsewhere(self.model, self.quality)
        self._timeout = timeout
        self._sleep = sleep
        is_openai = rules.is_openai(base_url)
        host = urlsplit(base_url or _OPENAI_URL).netloc.rpartition("@")[2]
        self._troubles = Troubles(
            service="OpenAI" if is_openai else host,
            account="platform.openai.com" if is_openai else host,
            model=self.model,
            key=key,
        )
        # The SDK would repeat timeouts, and so pay up to three times for one picture.
        self._client = openai.OpenAI(
            http_client=openai.DefaultHttpxClient(
                follow_redirects=False,  # a paid order goes to the address that was set
                event_hooks={"response": [_bound(timeout)]},
            ),
            api_key=key,
            base_url=base_url or _OPENAI_URL,  # None would let the environment decide
            timeout=httpx2.Timeout(timeout, connect=min(10.0, timeout)),
            max_retries=0,
        )

    def paint(self, order: PaintOrder) -> Painting:
        """Paint one cover; no two answers are alike, so the order's ``variant`` is not needed.

        :raises InvalidInputError: if the prompt can't be sent
        :raises ServiceError: if the service failed
        """
        prompt = check_prompt(order.prompt)
        answer = patiently(lambda: self._ask(prompt), sleep=self._sleep)
        data = read_picture(answer.data, self._fetch, self._troubles)
        model = _word(answer, "model") or self.model
        quality = _word(answer, "quality") or self.quality
        size = _word(answer, "size") or self.size
        return Painting(
            data=data,
            model=model,
            quality=quality,
            size=size,
            cost_usd=self._cost(answer, model, size, quality, prompt),
        )

    def check(self) -> list[str]:
        """Return the names of the models that the service offers. Costs nothing.

        :raises ServiceError: if the key, the address or the service is not right
        """
        page = self._answered(lambda: self._client.with_options(timeout=30.0).models.list(), 30.0)
        models = getattr(page, "data", None)
        if not isinstance(models, list):
            raise self._troubles.not_an_image_service("no list of models")
        names = [getattr(model, "id", None) for model in models]
        return [name for name in names if isinstance(name, str)]

    def _ask(self, prompt: str) -> ImagesResponse:
        """Ask for one picture, once."""
        request: dict[str, Any] = {"model": self.model, "prompt": prompt, "n": 1}
        if self.size:
            request["size"] = self.size
        if self.quality:
            request["quality"] = self.quality
        if self._is_openai_dialect:
            request |= _FILE
        answer = self._answered(lambda: self._client.images.generate(**request), self._timeout)
        if not isinstance(answer, ImagesResponse):  # the SDK gives HTML back as a string
            raise self._troubles.not_an_image_service("the answer is not JSON of the right form")
        trouble = (answer.model_extra or {}).get("error")
        if trouble and not answer.data:
            raise self._troubles.complained(Complaint.parse(200, {"error": trouble}))
        return answer

    def _answered(self, call: Callable[[], _T], timeout: float) -> _T:
        """Return what ``call`` returns; every error of the SDK becomes ours."""
        try:
            return call()
        except openai.APIStatusError as error:
            complaint = Complaint.parse(error.status_code, error.body)
            failure = self._troubles.complained(complaint, error.response.headers)
        except openai.APITimeoutError as error:
            was_sent = not isinstance(error.__cause__, _NEVER_SENT)
            failure = self._troubles.too_slow(timeout, was_sent=was_sent)
        except openai.APIConnectionError as error:
            reason = type(error.__cause__).__name__
            was_sent = not isinstance(error.__cause__, _NEVER_SENT)
            failure = self._troubles.unreachable(reason, was_sent=was_sent)
        except json.JSONDecodeError:
            failure = self._troubles.no_picture("the JSON is cut off or empty")
        except (openai.OpenAIError, AttributeError, TypeError, ValueError, RecursionError) as error:
            # What the SDK makes of JSON of another form than it expects.
            failure = self._troubles.not_an_image_service(type(error).__name__)
        # Raised out here, so that the SDK's error, which may quote the key, is not its context.
        log.info("%s: %s", self._troubles.service, failure.__cause__)
        raise failure

    def _fetch(self, url: str) -> bytes:
        """Download a picture. It is paid for, so this alone is tried again, not the painting."""
        try:
            return patiently(lambda: download(url, self._troubles), attempts=3, sleep=self._sleep)
        except ServiceError as error:
            error.permanent = True
            raise

    def _cost(
        self,
        answer: ImagesResponse,
        model: str,
        size: str | None,
        quality: str | None,
        prompt: str,
    ) -> Decimal | None:
        """Return what the picture cost: by its usage, else the most it can have cost."""
        # Dumped, because the SDK lets any JSON through where its types say numbers.
        usage = answer.to_dict(mode="python", warnings=False).get("usage")
        known = prices.cost(model, usage if isinstance(usage, Mapping) else None)
        if known is not None or not self._is_openai_dialect:
            return known
        estimate = prices.estimate(model, size or "", quality or "", prompt)
        return estimate.high if estimate else None


def _word(answer: ImagesResponse, name: str) -> str | None:
    """Return what the answer itself says of the picture, if it is a short word."""
    value = getattr(answer, name, None)
    return value if isinstance(value, str) and 0 < len(value) <= 100 else None
