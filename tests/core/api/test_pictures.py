import re
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from core import covers, pictures
from core.database import reading, transaction
from core.models import IdempotentCall, JobState
from tests.builders import make_image, make_picture, make_product
from tests.core.api.conftest import is_problem
from tests.core.api.test_products import save
from tests.waiting import wait_for

HISTORY_ROW = {
    "id", "product_id", "image_url", "thumbnail_url", "generation_method", "prompt", "model",
    "quality", "size", "width", "height", "media_type", "byte_size", "cost_usd", "created_at",
    "created_by", "restored_from_id", "is_current",
}  # fmt: skip
BOUNDARY = b"--x\r\n"
PART = b'Content-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'


@pytest.fixture
def product(call):
    return save(call, make_product())[0]


def history(call, product):
    return call("GET", f"/products/{product.id}/images/history", role="viewer").json()


class TestUpload:
    def test_becomes_the_picture(self, call, product):
        answer = call(
            "POST",
            f"/products/{product.id}/images/upload",
            files={"image": ("evil/../name.exe", make_picture(), "text/plain")},
        )

        assert answer.status_code == 201
        row = answer.json()
        assert set(row) == HISTORY_ROW
        assert row["generation_method"] == "manual_upload"
        assert row["product_id"] == product.id
        assert re.fullmatch(r"script \(token \d+\)", row["created_by"])
        assert (row["width"], row["height"], row["is_current"]) == (64, 48, True)
        assert history(call, product) == [row]
        assert call("GET", f"/products/{product.id}").json()["image_url"] == row["image_url"]

    def test_refuses_what_is_no_picture(self, call, product):
        address = f"/products/{product.id}/images/upload"

        for data in (b"", b"hello", b"<svg onload=alert(1)>", make_picture()[:60]):
            assert is_problem(call("POST", address, files={"image": ("a.png", data)}), 415)
        assert history(call, product) == []

    def test_refuses_a_picture_beyond_the_limits(self, call, product):
        image = b"x" * (pictures.MAX_BYTES + 1)

        answer = call("POST", f"/products/{product.id}/images/upload", files={"image": image})

        assert is_problem(answer, 413)

    @pytest.mark.parametrize(
        "request_",
        [
            {},
            {"json": {"image": "x"}},
            {"data": b"x", "headers": {"Content-Type": "multipart/form-data"}},
            {"data": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=y"}},
            {"data": b"--y", "headers": {"Content-Type": "multipart/form-data; boundary=y"}},
            {"data": b"", "headers": {"Content-Type": "multipart/form-data; boundary=y"}},
            {"files": {"picture": b"x"}},
            {"files": [("image", b"x"), ("image", b"y")]},
            {"data": {"image": "text"}, "files": {"other": b"x"}},
        ],
        ids=str,
    )
    def test_refuses_a_body_without_the_file(self, call, product, request_):
        answer = call("POST", f"/products/{product.id}/images/upload", **request_)

        assert is_problem(answer, 422)

    @pytest.mark.parametrize("framing", ["chunked", "length", "lie"])
    def test_stops_reading_at_the_limit(self, call, product, framing):
        limit = 20 * 1024 * 1024 + 64 * 1024
        sizes = {"chunked": None, "length": 200 * 1024 * 1024, "lie": 10**15}

        sent, answer = pour(call, f"/products/{product.id}/images/upload", sizes[framing])

        assert b" 413 " in answer.partition(b"\r\n")[0]
        assert b"application/problem+json" in answer
        # What the buffers in between hold; a length that is said is refused before anything comes.
        least = limit if framing == "chunked" else 0
        assert least <= sent < least + 8 * 1024 * 1024

    def test_reads_nothing_for_a_stranger_or_an_offer_that_is_gone(self, call, product):
        call.secrets["editor"], secret = "wrong", call.secrets["editor"]
        stranger, _answer = pour(call, f"/products/{product.id}/images/upload", None)
        call.secrets["editor"] = secret
        gone, _answer = pour(call, "/products/404/images/upload", None)

        assert max(stranger, gone) < 8 * 1024 * 1024

    def test_refuses_one_too_many_at_once_and_takes_it_later(self, call, product, monkeypatch):
        monkeypatch.setattr("core.api.uploads._MOST_AT_ONCE", 1)
        address = f"/products/{product.id}/images/upload"
        head = (
            f"POST /api{address} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n"
            f"Authorization: Bearer {call.secrets['editor']}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\nExpect: 100-continue\r\n\r\n"
        )

        def upload():
            return call("POST", address, files={"image": make_picture()})

        with socket.create_connection(call.address, timeout=20) as first:
            first.sendall(head.encode())
            assert b" 100 " in first.recv(65536)  # it is being read
            refused = upload()

        assert is_problem(refused, 429, "Too many uploads at once")
        assert refused.headers["Retry-After"] == "5"
        assert history(call, product) == []
        wait_for(lambda: upload().status_code == 201)

    def test_other_bodies_end_at_a_megabyte(self, call, product):
        note = {"note": "x" * 1024 * 1024}

        answer = call("POST", f"/products/{product.id}/notes", json=note)
        stranger = call("POST", f"/products/{product.id}/notes", json=note, role=None)

        assert is_problem(answer, 413, "1 MB")
        assert stranger.status_code in (401, 413)


def pour(call, path, length):
    """Send picture bytes without end until the server answers; return how many, and the answer."""
    framing = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
    head = (
        f"POST /api{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {call.secrets['editor']}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\n{framing}\r\n\r\n"
    )
    sent = 0

    def framed(data):
        return data if length else b"%x\r\n%b\r\n" % (len(data), data)

    with socket.create_connection(call.address, timeout=20) as connection:
        connection.sendall(head.encode() + framed(BOUNDARY + PART))
        block = framed(b"\0" * 256 * 1024)
        while sent < 100 * 1024 * 1024:
            connection.setblocking(False)
            try:
                if answer := connection.recv(65536):
                    return sent, answer
            except BlockingIOError:
                pass
            connection.setblocking(True)
            connection.settimeout(20)
            try:
                connection.sendall(block)
            except (BrokenPipeError, ConnectionResetError):
                return sent, connection.recv(65536)
            sent += 256 * 1024
            time.sleep(0.002)
    raise AssertionError("the server took it all")


class TestHistoryAndRevert:
    def test_goes_back_and_forth(self, call, product):
        address = f"/products/{product.id}/images"
        first, second = (
            call("POST", f"{address}/upload", files={"image": make_picture(colour)}).json()
            for colour in ("red", "blue")
        )

        reverted = call("POST", f"{address}/{first['id']}/revert")
        again = call("POST", f"{address}/{reverted.json()['id']}/revert")

        row = reverted.json()
        assert (reverted.status_code, set(row)) == (201, HISTORY_ROW)
        assert (row["generation_method"], row["restored_from_id"]) == ("reverted", first["id"])
        assert (row["image_url"], row["is_current"]) == (first["image_url"], True)
        assert again.json() == row
        assert [r["id"] for r in history(call, product)] == [row["id"], second["id"], first["id"]]
        assert [r["is_current"] for r in history(call, product)] == [True, False, False]

    def test_not_to_a_picture_of_another_offer(self, call, product):
        (other,) = save(call, make_product())
        (image,) = save(call, make_image(other))

        assert is_problem(call("POST", f"/products/{product.id}/images/{image.id}/revert"), 404)
        assert history(call, product) == []


def order(call, product, body=None, **more):
    return call("POST", f"/products/{product.id}/images/generate", json=body, **more)


def ended(call, job):
    """Wait until a job has ended; return what the call says of it."""

    def look():
        answer = call("GET", f"/jobs/{job['job_id']}", role="viewer").json()
        return answer if answer["state"] not in ("queued", "running") else None

    return wait_for(look)


class TestGenerate:
    def test_answers_at_once_and_tells_of_the_job(self, call_running, openai, to_openai):
        openai.latency = 0.5
        call = call_running(**to_openai)
        (product,) = save(call, make_product())

        answer = order(call, product, {"customPrompt": "a red guitar", "fromTheOldSystem": 1})
        job = ended(call, answer.json())

        assert answer.status_code == 202
        assert answer.json()["state"] == "queued"
        assert set(answer.json()) == {"job_id", "kind", "state", "error", "image_id"}
        assert answer.headers["Location"] == f"/api/jobs/{answer.json()['job_id']}"
        (row,) = history(call, product)
        assert job == answer.json() | {"state": "succeeded", "image_id": row["id"]}
        assert (row["prompt"], row["generation_method"]) == ("a red guitar", "ai_generated")
        assert isinstance(row["cost_usd"], float)
        assert row["created_by"].startswith("script (token ")

    def test_takes_no_prompt_no_body_and_old_calls(self, call_running):
        call = call_running(covers_per_sync=0)
        bodies = [
            {},
            {"json": {}},
            {"json": {"customPrompt": None}},
            {"json": {"customPrompt": ""}},
        ]
        bodies += [{"data": b"null", "headers": {"Content-Type": "application/json"}}]
        products = save(call, *(make_product() for _ in bodies))

        for product, body in zip(products, bodies, strict=True):
            answer = call("POST", f"/products/{product.id}/images/generate", **body)
            assert answer.status_code == 202, answer.text
        for body in ({"customPrompt": 5}, {"customPrompt": "x" * 40_000}, [], "x"):
            assert is_problem(order(call, products[0], body), 422)
        assert is_problem(order(call, make_product(id=404)), 404)
        assert is_problem(call("GET", "/jobs/cover-none"), 404)
        assert is_problem(call("GET", "/jobs/%00%ff"), 404)

    def test_waits_when_asked_to(self, call_running, openai, to_openai):
        call = call_running(**to_openai)
        (product, slow, failing) = save(call, *(make_product() for _ in range(3)))

        made = order(call, product, headers={"Prefer": "respond-async, wait=20"})
        openai.fail("content_policy_violation")
        failed = order(call, failing, headers={"Prefer": "wait=20"})
        openai.latency = 3
        late = order(call, slow, headers={"Prefer": "wait=1"})

        assert made.status_code == 201
        assert set(made.json()) == HISTORY_ROW
        assert [made.json()] == history(call, product)
        assert made.headers["Preference-Applied"] == "wait=20"
        assert (failed.status_code, failed.json()["state"]) == (202, "failed")
        assert failed.json()["error"]
        assert (late.status_code, late.json()["state"]) == (202, "running")
        assert late.headers["Location"] == f"/api/jobs/{late.json()['job_id']}"

    def test_stops_at_the_budget(self, call_running, to_openai):
        call = call_running(**to_openai, monthly_budget_usd=0)
        (product,) = save(call, make_product())

        assert is_problem(order(call, product), 409, "budget")

    def test_says_so_when_the_queue_is_not_there(self, call, product, monkeypatch):
        monkeypatch.setattr("core.jobs._START_LIMIT_S", 0.1)

        assert is_problem(order(call, product), 503, "job queue")
        assert is_problem(call("POST", "/hotmart/sync"), 503, "job queue")


class TestIdempotencyKey:
    def test_on_generate_orders_once(self, call_running, openai, to_openai):
        call = call_running(**to_openai)
        (product,) = save(call, make_product())
        key = {"Idempotency-Key": "k1"}

        first = order(call, product, {"customPrompt": "a"}, headers=key)
        ended(call, first.json())
        again = order(call, product, {"customPrompt": "a"}, headers=key)
        waited = order(call, product, {"customPrompt": "a"}, headers=key | {"Prefer": "wait=9"})
        other = order(call, product, {"customPrompt": "b"}, headers=key)

        assert (again.status_code, again.json()) == (202, first.json())
        assert again.headers["Location"] == first.headers["Location"]
        assert again.headers["Content-Type"] == "application/json"
        assert [waited.json()] == history(call, product)
        assert is_problem(other, 422, "another body")
        with reading(call.app.engine) as session:
            assert covers.count_jobs(session, states=list(JobState)) == openai.asked == 1

    def test_on_upload_and_notes_adds_once(self, call, product):
        key = {"Idempotency-Key": "k1"}
        for path, body, another in (
            ("images/upload", {"files": {"image": make_picture()}}, {"files": {"image": b"x"}}),
            ("notes", {"json": {"note": "a"}}, {"json": {"note": "b"}}),
        ):
            address = f"/products/{product.id}/{path}"
            first = call("POST", address, headers=key, **body)
            again = call("POST", address, headers=key, **body)

            assert (again.status_code, again.json()) == (201, first.json())
            assert is_problem(call("POST", address, headers=key, **another), 422, "another body")
        assert len(history(call, product)) == 1
        assert len(call("GET", f"/products/{product.id}/notes").json()) == 1

    def test_is_the_caller_s_own(self, call, product):
        address = f"/products/{product.id}/notes"
        twin = call.new_token()  # by the same name
        given = {"headers": {"Idempotency-Key": "k1"}, "json": {"note": "a"}}

        ids = {call("POST", address, token=token, **given).json()["id"] for token in (None, twin)}

        assert len(ids) == 2

    def test_is_free_again_when_nothing_came_of_it(self, call, product):
        address = f"/products/{product.id}/images/upload"
        key = {"Idempotency-Key": "k1"}

        refused = call("POST", address, headers=key, files={"image": b"x"})
        taken = call("POST", address, headers=key, files={"image": make_picture()})

        assert (refused.status_code, taken.status_code) == (415, 201)

    def test_is_not_taken_while_the_first_try_is_under_way_and_free_when_it_was_cut_off(
        self, call, product
    ):
        address = f"/products/{product.id}/notes"
        given = {"headers": {"Idempotency-Key": "k1"}, "json": {"note": "a"}}
        call("POST", address, **given)

        def crashed(minutes_ago):
            with transaction(call.app.engine) as session:
                kept = session.exec(select(IdempotentCall)).one()
                kept.answer = None
                kept.created_at = datetime.now(UTC) - timedelta(minutes=minutes_ago)

        crashed(1)
        early = call("POST", address, **given)
        crashed(10)
        late = call("POST", address, **given)

        assert is_problem(early, 409, "under way")
        assert late.status_code == 201
        assert len(call("GET", address).json()) == 2

    @pytest.mark.parametrize("key", ["", "x" * 201])
    def test_has_a_sensible_length(self, call, product, key):
        answer = call(
            "POST",
            f"/products/{product.id}/notes",
            json={"note": "a"},
            headers={"Idempotency-Key": key},
        )

        assert is_problem(answer, 422, "Idempotency-Key")
