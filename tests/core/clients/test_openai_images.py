"""The painter against a server that plays OpenAI over real HTTP."""

import contextlib
import logging
import socket
import threading
import traceback
from decimal import Decimal
from email.utils import formatdate
from io import BytesIO
from time import time

import pytest
from PIL import Image

from core import prices
from core.clients.openai_images import (
    OpenAIImagesPainter,
    check_base_url,
    check_key,
    check_quality,
    check_size,
    effective_model,
    is_openai,
)
from core.clients.openai_images.problems import wait_asked_for, without_keys
from core.errors import InvalidInputError, Problem, ServiceError, SettingsError
from core.painting import PaintOrder
from tests.simulators.openai import FAULTS, OpenAISimulator

FLARE = "gpt-image-2.5-flare"


@pytest.fixture(scope="module")
def running():
    with OpenAISimulator() as simulator:
        yield simulator


@pytest.fixture
def openai(running, monkeypatch):
    """The simulator, with nothing asked of it yet."""
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    running.reset()
    running.imitates = "openai"
    running.images_per_minute = None
    running.latency = 0.0
    return running


@pytest.fixture
def elsewhere(openai):
    """The simulator as a server that is not OpenAI and knows DALL-E 3."""
    openai.imitates = "other"
    return openai


@pytest.fixture
def slept():
    """How long the painter waited, each time it did."""
    return []


@pytest.fixture
def make_painter(openai, slept):
    """Builds painters; a test names only what it is about."""

    def make(**changes) -> OpenAIImagesPainter:
        boring = {
            "api_key": openai.key,
            "base_url": openai.url,
            "model": FLARE,
            "quality": "medium",
            "size": "1024x1024",
            "timeout": 10.0,
            "sleep": slept.append,
        }
        return OpenAIImagesPainter(**boring | changes)

    return make


def make_order(prompt: str = "a red guitar on a chair") -> PaintOrder:
    return PaintOrder(title="Violão", producer=None, prompt=prompt)


def size_of(data: bytes) -> tuple[str | None, tuple[int, int]]:
    with Image.open(BytesIO(data)) as picture:
        return picture.format, picture.size


class TestPaint:
    def test_gives_the_picture_and_what_is_known_of_it(self, openai, make_painter):
        painting = make_painter().paint(make_order())

        assert size_of(painting.data) == ("JPEG", (1024, 1024))
        assert (painting.model, painting.quality, painting.size) == (FLARE, "medium", "1024x1024")
        assert openai.bill == 1

    def test_sends_openai_only_what_it_knows(self, openai, make_painter):
        make_painter().paint(make_order("a cat"))

        (request,) = openai.requests
        assert request.path == "/v1/images/generations"
        assert request.body == {
            "model": FLARE,
            "prompt": "a cat",
            "n": 1,
            "size": "1024x1024",
            "quality": "medium",
            "output_format": "jpeg",
            "output_compression": 90,
        }

    def test_takes_the_cost_from_the_usage(self, openai, make_painter):
        painting = make_painter().paint(make_order("x" * 40))

        # 439 tokens at $30 and 16 at $5, per million
        assert painting.cost_usd == Decimal("0.01325")

    @pytest.mark.parametrize("fault", ["no_usage", "usage_zeros", "usage_text"])
    def test_counts_the_most_it_can_have_cost_where_no_usage_came(
        self, openai, make_painter, fault
    ):
        openai.fail(fault)
        estimate = prices.estimate(FLARE, "1024x1024", "medium", "a cat")

        painting = make_painter().paint(make_order("a cat"))

        assert estimate is not None
        assert painting.cost_usd == estimate.high

    def test_prices_the_quality_and_size_that_came_not_those_asked_for(self, openai, make_painter):
        openai.fail("other_quality")
        estimate = prices.estimate(FLARE, "1536x1024", "high", "a cat")

        painting = make_painter().paint(make_order("a cat"))

        assert estimate is not None
        assert (painting.quality, painting.size) == ("high", "1536x1024")
        assert painting.cost_usd == estimate.high

    def test_reads_what_auto_became(self, make_painter):
        painting = make_painter(quality="auto", size="auto").paint(make_order())

        assert (painting.quality, painting.size) == ("low", "1024x1024")

    @pytest.mark.parametrize("prompt", ["  ", "x" * 32_001, "a\0b", "\ud800"])
    def test_asks_nothing_with_a_prompt_that_can_t_be_sent(self, openai, make_painter, prompt):
        with pytest.raises(InvalidInputError):
            make_painter().paint(make_order(prompt))

        assert openai.requests == []

    def test_can_be_shared_between_threads(self, openai, make_painter):
        painter = make_painter()
        found: list[bytes] = []
        threads = [
            threading.Thread(
                target=lambda number: found.append(painter.paint(make_order(f"cat {number}")).data),
                args=(number,),
            )
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(set(found)) == 8
        assert openai.bill == 8

    def test_ignores_an_empty_address_in_the_environment(self, monkeypatch):
        monkeypatch.setenv("OPENAI_BASE_URL", "")

        painter = OpenAIImagesPainter("sk-1234", None, FLARE, "low", "1024x1024")

        assert str(painter._client.base_url) == "https://api.openai.com/v1/"


# fault: the problem, how often it is asked for, words of the sentence
COMPLAINTS = {
    "moderation_blocked": (Problem.BLOCKED, 1, "Reword the prompt"),
    "moderation_output": (Problem.BLOCKED, 1, "withheld the picture"),
    "content_policy_violation": (Problem.BLOCKED, 1, "Reword the prompt"),
    "azure_forbidden": (Problem.BLOCKED, 1, "Reword the prompt"),
    "blocked_in_200": (Problem.BLOCKED, 1, "Reword the prompt"),
    "unknown_parameter": (Problem.REQUEST, 1, "Unknown parameter: 'quality'"),
    "invalid_value": (Problem.REQUEST, 1, "longest edge must be"),
    "string_above_max_length": (Problem.REQUEST, 1, "string too long"),
    "too_large": (Problem.REQUEST, 1, "gave no reason"),
    "detail_400": (Problem.REQUEST, 1, "multiple of 32"),
    "detail_422": (Problem.REQUEST, 1, "do this: bad size"),
    "plain_error": (Problem.REQUEST, 1, "prompt required"),
    "google": (Problem.REQUEST, 1, "Bad field"),
    "model_gone": (Problem.MODEL, 1, "Set IMAGE_MODEL"),
    "model_not_found": (Problem.MODEL, 1, "Set IMAGE_MODEL"),
    "litellm_model": (Problem.MODEL, 1, "Set IMAGE_MODEL"),
    "billing_hard_limit_reached": (Problem.BILLING, 1, "Add credit"),
    "billing_hard_limit_old": (Problem.BILLING, 1, "Add credit"),
    "credit_balance_exhausted": (Problem.BILLING, 1, "Add credit"),
    "organization_spend_limit_exceeded": (Problem.BILLING, 1, "Add credit"),
    "project_spend_limit_exceeded": (Problem.BILLING, 1, "Add credit"),
    "organization_usage_limit_exceeded": (Problem.BILLING, 1, "Add credit"),
    "insufficient_quota": (Problem.BILLING, 1, "Add credit"),
    "payment_required": (Problem.BILLING, 1, "Add credit"),
    "invalid_api_key": (Problem.KEY, 1, "Make a new key"),
    "litellm_key": (Problem.KEY, 1, "Make a new key"),
    "key_permission": (Problem.PERMISSION, 1, "Give the key that permission"),
    "not_a_member": (Problem.PERMISSION, 1, "Give the key that permission"),
    "ip_not_allowed": (Problem.PERMISSION, 1, "Give the key that permission"),
    "forbidden": (Problem.PERMISSION, 1, "Give the key that permission"),
    "rate_limit_0": (Problem.PERMISSION, 1, "allows your account no pictures"),
    "unverified": (Problem.VERIFY, 1, "wait 15 minutes"),
    "region": (Problem.REGION, 1, "the country"),
    "rate": (Problem.RATE, 5, "IMAGES_PER_MINUTE"),
    "rate_plain": (Problem.RATE, 5, "IMAGES_PER_MINUTE"),
    "rate_retry_after": (Problem.RATE, 5, "IMAGES_PER_MINUTE"),
    "rate_retry_after_ms": (Problem.RATE, 5, "IMAGES_PER_MINUTE"),
    "rate_retry_after_300": (Problem.RATE, 1, "IMAGES_PER_MINUTE"),
    "rate_no_retry": (Problem.RATE, 1, "IMAGES_PER_MINUTE"),
    "rate_in_200": (Problem.RATE, 5, "IMAGES_PER_MINUTE"),
    "slow_down": (Problem.RATE, 5, "IMAGES_PER_MINUTE"),
    "slow_down_429": (Problem.RATE, 5, "IMAGES_PER_MINUTE"),
    "server_error": (Problem.SERVER, 5, "trouble of its own"),
    "server_error_null": (Problem.SERVER, 5, "trouble of its own"),
    "image_generation_failed": (Problem.SERVER, 5, "trouble of its own"),
    "overloaded": (Problem.SERVER, 5, "trouble of its own"),
    "bad_gateway": (Problem.SERVER, 5, "trouble of its own"),
    "gateway_timeout": (Problem.TIMEOUT, 1, "billed all the same"),
    "not_found": (Problem.WRONG_ANSWER, 1, "Check OPENAI_BASE_URL"),
    "detail_404": (Problem.WRONG_ANSWER, 1, "Check OPENAI_BASE_URL"),
    "html": (Problem.WRONG_ANSWER, 1, "Check OPENAI_BASE_URL"),
    "json_list": (Problem.WRONG_ANSWER, 1, "Check OPENAI_BASE_URL"),
    "json_number": (Problem.WRONG_ANSWER, 1, "Check OPENAI_BASE_URL"),
    "json_null": (Problem.WRONG_ANSWER, 1, "Check OPENAI_BASE_URL"),
    "error_in_200": (Problem.WRONG_ANSWER, 1, "upstream is asleep"),
    "key_echo": (Problem.REQUEST, 1, r"\[key\]"),
    "drop": (Problem.NETWORK, 1, "billed all the same"),
    "reset": (Problem.NETWORK, 1, "billed all the same"),
    "redirect": (Problem.WRONG_ANSWER, 1, "Check OPENAI_BASE_URL"),
    "redirect_loop": (Problem.WRONG_ANSWER, 1, "Check OPENAI_BASE_URL"),
    "invalid_choice": (Problem.REQUEST, 1, "IMAGE_SIZE"),
    "integer_above_max_value": (Problem.REQUEST, 1, "IMAGE_SIZE"),
    "missing_required_parameter": (Problem.REQUEST, 1, "IMAGE_SIZE"),
    "invalid_png_output_compression": (Problem.REQUEST, 1, "IMAGE_SIZE"),
    "invalid_input_fidelity_model": (Problem.REQUEST, 1, "IMAGE_SIZE"),
    "invalid_image_file": (Problem.REQUEST, 1, "IMAGE_SIZE"),
    "key_revoked": (Problem.KEY, 1, "OPENAI_API_KEY"),
    "request_timeout": (Problem.TIMEOUT, 1, "billed all the same"),
    "conflict": (Problem.REQUEST, 1, "try again"),
    "no_channel": (Problem.SERVER, 5, "trouble of its own"),
    "detail_503": (Problem.SERVER, 5, "trouble of its own"),
    "server_error_text": (Problem.SERVER, 5, "trouble of its own"),
    "cut_body": (Problem.NETWORK, 1, "billed all the same"),
    "garbage": (Problem.NETWORK, 1, "billed all the same"),
    "cut_json": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "empty_body": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "data_null": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "no_data": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "empty_data": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "data_text": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "items_of_null": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "wrong_types": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "empty_item": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "bad_base64": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "not_a_picture": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "url_html": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "url_big": (Problem.WRONG_ANSWER, 1, "without a usable picture"),
    "url_404": (Problem.WRONG_ANSWER, 1, "could not be downloaded"),
    "url_503": (Problem.WRONG_ANSWER, 1, "could not be downloaded"),
    "url_redirects": (Problem.WRONG_ANSWER, 1, "could not be downloaded"),
    "url_ftp": (Problem.WRONG_ANSWER, 1, "could not be downloaded"),
    "url_nonsense": (Problem.WRONG_ANSWER, 1, "could not be downloaded"),
    "no_answer_there": (Problem.WRONG_ANSWER, 1, "could not be downloaded"),
}
HARMLESS = [
    "data_prefix",
    "data_url",
    "whitespace",
    "unpadded",
    "two_items",
    "text_plain",
    "url",
    "url_redirect",
    "url_flaky",
]
NO_FAILURES = {"no_usage", "usage_zeros", "usage_text", "other_quality", "wrong_size"}


class TestAFailure:
    @pytest.mark.parametrize("fault", COMPLAINTS)
    def test_has_its_own_sentence_and_is_repeated_only_where_that_helps(
        self, openai, make_painter, fault
    ):
        problem, times, words = COMPLAINTS[fault]
        openai.fail(fault, times=None)

        with pytest.raises(ServiceError, match=words) as caught:
            make_painter().paint(make_order())

        assert caught.value.problem is problem
        assert openai.asked == times
        assert openai.bill <= 1
        sentence = str(caught.value)
        assert sentence.endswith(".")
        assert not any(inner in sentence for inner in ("{", "Error", "HTTP", "None"))
        if times > 1:
            assert not caught.value.permanent
        elif fault != "rate_retry_after_300":
            assert caught.value.permanent

    def test_of_every_kind_is_tested_here(self):
        assert set(FAULTS) == {*COMPLAINTS, *HARMLESS, *NO_FAILURES, "slow", "drip"}

    def test_by_timeout_is_not_asked_for_again(self, openai, make_painter, slept):
        openai.fail("slow", times=None)

        with pytest.raises(ServiceError, match="billed all the same") as caught:
            make_painter(timeout=0.3).paint(make_order())

        assert caught.value.problem is Problem.TIMEOUT
        assert caught.value.permanent
        assert (openai.asked, openai.bill, slept) == (1, 1, [])

    def test_by_an_answer_that_never_ends_is_a_timeout(self, openai, make_painter):
        openai.fail("drip", times=None)

        with pytest.raises(ServiceError, match="billed all the same") as caught:
            make_painter(timeout=0.3).paint(make_order())

        assert caught.value.problem is Problem.TIMEOUT
        assert (openai.asked, openai.bill) == (1, 1)

    def test_to_connect_says_that_nothing_was_billed(self, make_painter):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"

            with pytest.raises(ServiceError, match="nothing billed") as caught:
                make_painter(base_url=address).paint(make_order())

        assert caught.value.problem is Problem.NETWORK

    def test_by_a_wrong_address_points_to_the_setting(self, openai, make_painter):
        with pytest.raises(ServiceError, match="Check OPENAI_BASE_URL") as caught:
            make_painter(base_url=openai.root).paint(make_order())

        assert caught.value.problem is Problem.WRONG_ANSWER


class TestPatience:
    def test_waits_as_long_as_the_service_asks_and_then_has_the_picture(
        self, openai, make_painter, slept
    ):
        openai.fail("rate", times=2)

        painting = make_painter().paint(make_order())

        assert size_of(painting.data)[1] == (1024, 1024)
        assert slept == [12.0, 12.0]
        assert (openai.asked, openai.bill) == (3, 1)

    @pytest.mark.parametrize(
        ("fault", "seconds"),
        [("rate_retry_after", 1.0), ("rate_retry_after_ms", 0.25), ("rate_plain", 51.8)],
    )
    def test_reads_the_wait_wherever_it_is_written(
        self, openai, make_painter, slept, fault, seconds
    ):
        openai.fail(fault)

        make_painter().paint(make_order())

        assert slept == [seconds]

    def test_survives_two_failures_of_the_server(self, openai, make_painter):
        openai.fail("server_error")
        openai.fail("bad_gateway")

        make_painter().paint(make_order())

        assert (openai.asked, openai.bill) == (3, 1)

    def test_keeps_within_the_account_s_pictures_per_minute(self, openai, make_painter, slept):
        openai.images_per_minute = 2
        painter = make_painter()
        painter.paint(make_order("one"))
        painter.paint(make_order("two"))

        with pytest.raises(ServiceError) as caught:
            painter.paint(make_order("three"))

        assert caught.value.problem is Problem.RATE
        assert 0 < slept[0] <= 60
        assert openai.bill == 2

    @pytest.mark.parametrize(
        ("headers", "message", "seconds"),
        [
            ({"retry-after": "7"}, "", 7.0),
            ({"retry-after-ms": "1500", "retry-after": "7"}, "", 1.5),
            ({"retry-after": "0"}, "", None),
            ({"retry-after": "-3"}, "", None),
            ({"retry-after": "nan"}, "", None),
            ({"retry-after": "inf"}, "", None),
            ({"retry-after": "soon"}, "Please try again in 6m0s.", 360.0),
            ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, "", None),
            ({}, "Please try again in 120ms.", 0.12),
            ({}, "Please try again in 1m30s.", 90.0),
            ({}, "please retry after 5 minutes", 300.0),
            ({}, "Slow Down", None),
        ],
    )
    def test_understands_every_way_to_ask_for_a_wait(self, headers, message, seconds):
        assert wait_asked_for(headers, message) == seconds

    def test_understands_a_date(self):
        wait = wait_asked_for({"retry-after": formatdate(time() + 60, usegmt=True)}, "")

        assert wait is not None
        assert 55 < wait <= 60


class TestAnAnswer:
    @pytest.mark.parametrize("fault", HARMLESS)
    def test_is_read_in_every_form(self, openai, make_painter, fault):
        openai.fail(fault)

        painting = make_painter().paint(make_order())

        assert size_of(painting.data) == ("JPEG", (1024, 1024))
        assert (openai.asked, openai.bill) == (1, 1)

    def test_by_address_is_downloaded_with_a_name_and_without_the_key(self, openai, make_painter):
        openai.fail("url")

        make_painter().paint(make_order())

        (download,) = openai.downloads
        assert download.headers["user-agent"].startswith("Capista")
        assert "authorization" not in download.headers
        assert openai.key not in str(download)

    @pytest.mark.parametrize(("fault", "times"), [("url_503", 3), ("url_flaky", 2), ("url_404", 1)])
    def test_that_is_paid_for_is_downloaded_again_but_not_painted_again(
        self, openai, make_painter, fault, times
    ):
        openai.fail(fault)

        with contextlib.suppress(ServiceError):
            make_painter().paint(make_order())

        assert len(openai.downloads) == times
        assert (openai.asked, openai.bill) == (1, 1)

    def test_of_another_size_is_left_to_the_caller(self, openai, make_painter):
        openai.fail("wrong_size")

        assert size_of(make_painter().paint(make_order()).data)[1] == (512, 512)


class TestTheKey:
    def chain(self, error: BaseException) -> str:
        """Everything that printing the error anywhere could show."""
        texts = ["".join(traceback.format_exception(error))]
        seen: list[BaseException | None] = [error]
        while seen:
            one = seen.pop()
            if one is not None:
                texts += [str(one), repr(one), str(vars(one))]
                seen += [one.__cause__, one.__context__]
        return "\n".join(texts)

    @pytest.mark.parametrize("fault", ["invalid_api_key", "key_echo", "drop", "slow", "html"])
    def test_never_gets_out(self, openai, make_painter, caplog, fault):
        openai.fail(fault, times=None)
        caplog.set_level(logging.DEBUG)

        with pytest.raises(ServiceError) as caught:
            make_painter(timeout=0.3).paint(make_order())

        told = self.chain(caught.value) + caplog.text
        told += "".join(str(vars(record)) for record in caplog.records)
        assert openai.key not in told
        assert openai.key[:8] not in told
        assert openai.key[-4:] not in told

    def test_that_is_wrong_is_not_shown_either(self, openai, make_painter, caplog):
        wrong = "sk-proj-PlantedSecret0123456789wxyz"
        caplog.set_level(logging.DEBUG)

        with pytest.raises(ServiceError, match="does not accept the key") as caught:
            make_painter(api_key=wrong).paint(make_order())

        told = self.chain(caught.value) + caplog.text
        assert caught.value.problem is Problem.KEY
        assert "sk-" not in told
        assert "wxyz" not in told

    def test_of_another_server_is_not_shown_either(self, elsewhere, make_painter, caplog):
        caplog.set_level(logging.DEBUG)

        wrong = "".join(("plan", "ted/secret=1234"))  # tracebacks quote this file's lines

        with pytest.raises(ServiceError) as caught:
            make_painter(api_key=wrong, model="flux").paint(make_order())

        assert wrong not in self.chain(caught.value) + caplog.text

    def test_is_in_no_repr(self, openai, make_painter):
        painter = make_painter()

        assert openai.key not in repr(painter) + repr(painter._troubles) + repr(painter._client)

    @pytest.mark.parametrize(
        "text",
        [
            "Incorrect API key provided: sk-ab***wxyz.",
            "Received sk-...wxyz",
            "key sk-proj-abcdef_wxyz, try another",
            "key abcd****wxyz is wrong",
            "Authorization: Bearer wxyz",
            "it was tok-enoughwxyz",
        ],
    )
    def test_is_cut_out_of_what_a_service_says(self, text):
        assert "wxyz" not in without_keys(text, "tok-enoughwxyz")

    def test_leaves_an_ordinary_message_alone(self):
        message = "Invalid size '4096x4096'. The longest edge ... must be 3840. A risk-free task."

        assert without_keys(message, "x") == message

    @pytest.mark.parametrize("key", [" sk-abc\n", "sk-abc\r\n", "\tsk-abc"])
    def test_loses_what_copying_brought_along(self, key):
        assert check_key(key) == "sk-abc"

    @pytest.mark.parametrize("key", ["", " \n", "sk-ábc", "sk-a bc", "sk-a\nbc", "“sk-abc”"])
    def test_that_can_t_be_sent_is_refused_without_showing_it(self, key):
        with pytest.raises(SettingsError, match="OPENAI_API_KEY") as caught:
            check_key(key)

        assert "sk-a" not in str(caught.value)


class TestElsewhere:
    def test_dall_e_3_is_spoken_to_in_its_own_words(self, elsewhere, make_painter):
        painter = make_painter(model="dall-e-3", quality="medium", size="1536x1024")

        painting = painter.paint(make_order("a cat"))

        assert elsewhere.requests[0].body == {
            "model": "dall-e-3",
            "prompt": "a cat",
            "n": 1,
            "size": "1792x1024",
            "quality": "standard",
        }
        assert size_of(painting.data) == ("PNG", (1792, 1024))
        assert (painting.model, painting.size) == ("dall-e-3", "1792x1024")
        assert painting.cost_usd is None
        assert len(elsewhere.downloads) == 1

    def test_another_model_is_sent_no_quality(self, elsewhere, make_painter):
        make_painter(model="flux-1-dev").paint(make_order("a cat"))

        assert elsewhere.requests[0].body == {
            "model": "flux-1-dev",
            "prompt": "a cat",
            "n": 1,
            "size": "1024x1024",
        }

    def test_a_size_of_auto_is_left_out(self, elsewhere, make_painter):
        make_painter(model="flux-1-dev", size="auto").paint(make_order())

        assert "size" not in elsewhere.requests[0].body

    def test_openai_s_own_models_are_spoken_to_as_at_openai(self, openai, make_painter):
        make_painter(model="gpt-image-2").paint(make_order())

        assert openai.requests[0].body["output_format"] == "jpeg"

    @pytest.mark.parametrize("mode", ["openai", "other"])
    @pytest.mark.parametrize("model", [FLARE, "gpt-image-1.5", "dall-e-3", "flux-1-dev"])
    def test_response_format_is_never_sent(self, openai, make_painter, mode, model):
        openai.imitates = mode
        try:
            make_painter(model=model).paint(make_order())
        except ServiceError:
            assert mode == "openai"  # which has none but its own models

        assert "response_format" not in openai.requests[0].body

    @pytest.mark.parametrize(
        ("quality", "sent"),
        [("low", "standard"), ("auto", "standard"), ("high", "hd"), ("max", "hd"), ("hd", "hd")],
    )
    def test_a_quality_is_put_into_dall_e_3_s_words(self, elsewhere, make_painter, quality, sent):
        assert make_painter(model="dall-e-3", quality=quality).quality == sent

    def test_the_host_is_named_without_its_password(self, elsewhere, make_painter):
        address = elsewhere.url.replace("://", "://joe:secret@")

        with pytest.raises(ServiceError) as caught:
            make_painter(model="flux", base_url=address, api_key="wrong-key").paint(make_order())

        assert "127.0.0.1" in str(caught.value)
        assert "secret" not in str(caught.value)


class TestCheck:
    def test_lists_the_models_and_costs_nothing(self, openai, make_painter):
        models = make_painter().check()

        assert FLARE in models
        assert openai.bill == 0

    def test_tells_of_a_wrong_key(self, make_painter):
        with pytest.raises(ServiceError) as caught:
            make_painter(api_key="sk-wrong-0123456789").check()

        assert caught.value.problem is Problem.KEY

    def test_tells_of_a_wrong_address(self, openai, make_painter):
        with pytest.raises(ServiceError, match="Check OPENAI_BASE_URL"):
            make_painter(base_url=openai.root).check()


class TestSettings:
    @pytest.mark.parametrize("model", ["dall-e-3", "dall-e-2", "gpt-image-1", " dall-e-3 "])
    def test_replace_a_model_that_openai_shut_down(self, model):
        found, notice = effective_model(model, None)

        assert found == FLARE
        assert notice is not None
        assert model.strip() in notice
        assert effective_model(model, "https://api.openai.com/v1")[0] == FLARE

    @pytest.mark.parametrize("model", ["dall-e-3", "gpt-image-1", "flux"])
    def test_leave_a_model_of_another_server_alone(self, model):
        assert effective_model(model, "http://localhost:8080/v1") == (model, None)

    @pytest.mark.parametrize(
        "model",
        ["gpt-image-1-mini", "gpt-image-1.5", "gpt-image-1.5-2025-12-16", "chatgpt-image-latest"],
    )
    def test_warn_of_a_model_s_last_day(self, model):
        found, notice = effective_model(model, None)

        assert found == model
        assert notice is not None
        assert "2026-12-01" in notice

    @pytest.mark.parametrize("model", [FLARE, "gpt-image-2", "gpt-image-2.6-flare", "gpt-image-3"])
    def test_keep_a_living_model_in_silence(self, model):
        assert effective_model(model, None) == (model, None)

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            (None, True),
            ("https://api.openai.com/v1", True),
            ("https://eu.api.openai.com/v1", True),
            ("https://API.OpenAI.com/v1", True),
            ("http://localhost:8080/v1", False),
            ("https://api.openai.com.evil.example/v1", False),
            ("https://evil.example/api.openai.com/v1", False),
        ],
    )
    def test_tell_openai_by_its_host(self, url, expected):
        assert is_openai(url) is expected

    @pytest.mark.parametrize(
        ("url", "kept"),
        [
            (None, None),
            ("", None),
            ("  ", None),
            ("http://localhost:8080/v1/", "http://localhost:8080/v1"),
            (" https://h.example/v1beta/openai/ ", "https://h.example/v1beta/openai"),
        ],
    )
    def test_take_an_address(self, url, kept):
        assert check_base_url(url) == kept

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("localhost:8080/v1", "in full"),
            ("ftp://h.example/v1", "in full"),
            ("http://", "in full"),
            ("http://[broken/v1", "in full"),
            ("http://h.example:99999/v1", "in full"),
            ("http://h.example/v1/images/generations", "too far"),
            ("http://h.example/v1/images/generations/", "too far"),
            ("http://h.example/v1/images", "too far"),
            ("http://h.example/v1?api-version=2", "must not hold"),
            ("https://api.openai.com", "api.openai.com/v1"),
        ],
    )
    def test_refuse_what_no_address_can_be(self, url, words):
        with pytest.raises(SettingsError, match=words) as caught:
            check_base_url(url)

        assert "OPENAI_BASE_URL" in str(caught.value)

    @pytest.mark.parametrize(
        ("model", "size"),
        [
            (FLARE, "1024x1024"),
            (FLARE, "816x816"),
            (FLARE, "3840x2160"),
            (FLARE, "1792x1024"),
            (FLARE, "auto"),
            ("gpt-image-2", "1088x1360"),
            ("gpt-image-1.5", "1536x1024"),
            ("flux", "512x512"),
            ("gpt-image-3", "500x500"),
        ],
    )
    def test_take_a_size_that_the_model_paints(self, model, size):
        assert check_size(model, size) == size

    def test_take_a_size_as_people_write_it(self):
        assert check_size(FLARE, " 1024 X 1536 ") == "1024x1536"
        assert check_size(FLARE, "1024×1536") == "1024x1536"

    @pytest.mark.parametrize(
        ("model", "size", "words"),
        [
            (FLARE, "1200x628", "1200x640 is close"),
            (FLARE, "1080x1080", "1088x1088 is close"),
            (FLARE, "4096x1536", "longer than 3840"),
            (FLARE, "3072x768", "three times as long"),
            (FLARE, "640x640", "too small"),
            (FLARE, "3840x3840", "too large"),
            ("gpt-image-1.5", "2048x2048", "1024x1024, 1024x1536, 1536x1024"),
            (FLARE, "large", "width x height"),
            (FLARE, "0x1024", "width x height"),
            ("flux", "", "width x height"),
        ],
    )
    def test_refuse_a_size_and_say_why(self, model, size, words):
        with pytest.raises(SettingsError, match=words) as caught:
            check_size(model, size)

        assert "IMAGE_SIZE" in str(caught.value)

    @pytest.mark.parametrize(
        ("model", "quality"),
        [
            (FLARE, "max"),
            (FLARE, "auto"),
            ("gpt-image-2", " High "),
            ("dall-e-3", "hd"),
            ("dall-e-3", "medium"),
        ],
    )
    def test_take_a_quality_that_the_model_knows(self, model, quality):
        assert check_quality(model, quality) == quality.strip().lower()

    @pytest.mark.parametrize(
        ("model", "quality"),
        [(FLARE, "hd"), ("gpt-image-2", "max"), ("gpt-image-1.5", "xhigh"), (FLARE, "")],
    )
    def test_refuse_a_quality_and_name_the_right_ones(self, model, quality):
        with pytest.raises(SettingsError, match=r"IMAGE_QUALITY.*low, medium, high"):
            check_quality(model, quality)

    def test_are_checked_before_anything_is_asked(self, openai, make_painter):
        for wrong in (
            {"api_key": " "},
            {"base_url": "localhost"},
            {"size": "1x"},
            {"quality": "hd"},
        ):
            with pytest.raises(SettingsError):
                make_painter(**wrong)

        assert openai.requests == []

    def test_that_name_a_dead_model_leave_a_notice(self):
        painter = OpenAIImagesPainter("sk-1234", None, "dall-e-3", "medium", "1024x1024")

        assert painter.model == FLARE
        assert painter.notice is not None
        assert painter.is_paid
