import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core import decoding, pictures
from core.pictures import NotAPictureError, PictureTooLargeError
from tests.builders import make_picture

both = pytest.mark.parametrize("kind", ["upload", "painting"])


@pytest.fixture
def pool():
    """A pool of its own, whose processes end with the test."""
    pool = decoding._Pool()
    yield pool
    for decoder in pool._idle:
        decoder.end()


def only(pool):
    (decoder,) = pool._idle
    return decoder


class TestAPicture:
    @both
    @pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
    def test_is_what_it_would_be_here(self, pool, kind, format):
        data = make_picture(kind=format)

        assert pool.ask(kind, data) == decoding._WORK[kind](data)

    def test_comes_back_whole_however_large(self, pool):
        data = make_picture(size=(3000, 2000), kind="PNG")

        assert pool.ask("painting", data).data == data

    def test_of_many_askers_is_each_their_own(self, pool):
        colours = ["red", "green", "blue", "black", "white", "yellow"] * 3
        files = [make_picture(colour) for colour in colours]

        with ThreadPoolExecutor(6) as askers:
            answers = list(askers.map(lambda data: pool.ask("painting", data).data, files))

        assert answers == files
        assert len(pool._idle) <= decoding._AT_ONCE


class TestARefusal:
    @both
    @pytest.mark.parametrize("data", [b"", b"<html>", make_picture()[:-30], b"\n" * 70_000])
    def test_is_the_sentence_it_would_be_here(self, pool, kind, data):
        with pytest.raises(NotAPictureError) as here:
            decoding._WORK[kind](data)

        with pytest.raises(NotAPictureError) as there:
            pool.ask(kind, data)

        assert str(there.value) == str(here.value)

    def test_keeps_its_kind(self, pool):
        with pytest.raises(PictureTooLargeError):
            pool.ask("upload", b"x" * (pictures.MAX_BYTES + 1))

    def test_leaves_the_decoder_at_work(self, pool):
        with pytest.raises(NotAPictureError):
            pool.ask("upload", b"no")
        first = only(pool)

        pool.ask("upload", make_picture())

        assert only(pool) is first


class TestADecoder:
    def test_that_is_killed_at_work_costs_one_picture(self, pool):
        pool.ask("upload", make_picture())
        victim = only(pool).process
        threading.Timer(0.2, victim.kill).start()
        pool._idle[0].process.stdin.write(b'{"kind": "upload", "sizes": [1000]}\n')  # it waits now

        with pytest.raises(NotAPictureError, match="too much for the program"):
            pool.ask("upload", make_picture())

        assert pool.ask("upload", make_picture()).media_type == "image/png"
        assert only(pool).process is not victim

    def test_that_died_while_idle_is_not_noticed(self, pool):
        pool.ask("upload", make_picture())
        only(pool).end()

        assert pool.ask("upload", make_picture()).media_type == "image/png"

    def test_that_takes_too_long_is_ended(self, pool, monkeypatch):
        pool.ask("upload", make_picture())
        slow = only(pool)
        slow.process.stdin.write(b'{"kind": "upload", "sizes": [99999999]}\n')  # never comes
        monkeypatch.setattr(decoding, "_LONGEST_S", 0.3)

        with pytest.raises(NotAPictureError, match="too much for the program"):
            pool.ask("upload", make_picture())

        assert slow.process.poll() is not None

    def test_knows_no_secret(self, pool, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
        pool.ask("upload", make_picture())

        with open(f"/proc/{only(pool).process.pid}/environ", "rb") as environment:
            assert b"sk-planted" not in environment.read()

    def test_has_little_memory(self, pool):
        pool.ask("upload", make_picture())

        with open(f"/proc/{only(pool).process.pid}/limits") as limits:
            (line,) = [line for line in limits if line.startswith("Max address space")]
        assert str(decoding._MOST_MEMORY) in line

    def test_ends_when_nobody_asks_any_more(self, pool):
        pool.ask("upload", make_picture())
        process = only(pool).process

        process.stdin.close()

        assert process.wait(5) == 0
