"""The limits before a small server, over real HTTP and websockets."""

import resource
import socket
import threading
from contextlib import ExitStack

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from core.api import limits
from core.api.limits import BodyLimit, SocketLimit
from tests.waiting import wait_for

MB = 1024 * 1024


class Small:
    """A server behind the limits; ``heard`` is what its websocket was told."""

    def __init__(self):
        self.heard = []
        self.port = 0

    def app(self):
        async def page(request):
            return PlainTextResponse("page")

        async def read(request):
            return PlainTextResponse(str(len(await request.body())))

        async def listen(websocket):
            await websocket.accept()
            async for text in websocket.iter_text():
                self.heard.append(text)

        methods = ["GET", "POST", "PUT"]
        return Starlette(
            routes=[
                Route("/", page, methods=methods),
                Route("/read", read, methods=methods),
                Route("/api/call", read, methods=methods),
                Route("/_stcore/upload_file/page/file", read, methods=methods),
                WebSocketRoute("/_stcore/stream", listen),
            ],
            middleware=[Middleware(SocketLimit), Middleware(BodyLimit)],
        )

    def call(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def begin(self, connection, path, *headers):
        lines = [f"POST {path} HTTP/1.1", "Host: x", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode())

    def open_websocket(self, address="127.0.0.1"):
        plug = socket.create_connection(
            ("127.0.0.1", self.port), timeout=20, source_address=(address, 0)
        )
        url = f"ws://127.0.0.1:{self.port}/_stcore/stream"
        return connect(url, sock=plug, proxy=None, open_timeout=20)


@pytest.fixture
def small():
    small = Small()
    server = uvicorn.Server(uvicorn.Config(small.app(), log_level="critical", lifespan="off"))
    listener = socket.create_server(("127.0.0.1", 0))
    small.port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    yield small
    server.should_exit = server.force_exit = True
    thread.join(10)


def rest_of(connection):
    """Return all that comes until the server ends the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def opens(small):
    try:
        with small.open_websocket():
            return True
    except InvalidStatus:
        return False


class TestBodyLimit:
    @pytest.mark.parametrize("path", ["/", "/read", "/api/call", "/_stcore/upload_file/page/file"])
    def test_refuses_two_gigabytes_before_any_of_them_come(self, small, path):
        with small.call() as connection:
            small.begin(connection, path, f"Content-Length: {2 * 1024**3}")

            answer = rest_of(connection)

        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in answer.lower()
        assert (b"application/problem+json" in answer) == path.startswith("/api/")

    def test_ends_a_body_whose_length_is_not_said(self, small):
        with small.call() as connection:
            small.begin(connection, "/read", "Transfer-Encoding: chunked")
            connection.sendall(b"100001\r\n" + bytes(MB + 1) + b"\r\n")

            assert rest_of(connection).startswith(b"HTTP/1.1 413 ")

    def test_ends_the_connection_where_nobody_reads_the_body(self, small):
        with small.call() as connection:
            small.begin(connection, "/", "Transfer-Encoding: chunked")

            assert rest_of(connection).startswith(b"HTTP/1.1 200 ")

    def test_tells_somebody_who_sends_all_before_listening(self, small):
        with small.call() as connection:
            small.begin(connection, "/read", f"Content-Length: {8 * MB}")
            connection.sendall(bytes(8 * MB))

            assert rest_of(connection).startswith(b"HTTP/1.1 413 ")

    def test_gives_a_slow_body_up(self, small, monkeypatch):
        monkeypatch.setattr(limits, "_PATIENCE_S", 0.1)
        with small.call() as connection:
            small.begin(connection, "/read", "Content-Length: 1000")
            connection.sendall(b"x")

            assert rest_of(connection).startswith(b"HTTP/1.1 408 ")

    def test_takes_a_picture_and_keeps_the_connection(self, small):
        with small.call() as connection:
            for _turn in range(2):
                length = f"Content-Length: {20 * MB}"
                small.begin(connection, "/_stcore/upload_file/page/file", length)
                connection.sendall(bytes(20 * MB))

                answer = b""
                while not answer.endswith(str(20 * MB).encode()):
                    answer += connection.recv(65536)
                assert b"connection: close" not in answer.lower()


class TestSocketLimit:
    def test_refuses_one_too_many_from_one_address_and_takes_others(self, small, monkeypatch):
        monkeypatch.setattr(limits, "_MOST_SOCKETS_OF_ONE", 2)
        with ExitStack() as opened:
            for _number in range(2):
                opened.enter_context(small.open_websocket())

            with pytest.raises(InvalidStatus) as raised:
                small.open_websocket()
            opened.enter_context(small.open_websocket("127.0.0.2"))

        assert raised.value.response.status_code == 429
        assert raised.value.response.headers["Retry-After"] == "10"

    def test_refuses_one_too_many_in_all(self, small, monkeypatch):
        monkeypatch.setattr(limits, "_MOST_SOCKETS", 1)
        with small.open_websocket(), pytest.raises(InvalidStatus):
            small.open_websocket("127.0.0.2")

    def test_lets_the_next_in_when_one_is_closed(self, small, monkeypatch):
        monkeypatch.setattr(limits, "_MOST_SOCKETS", 1)
        with small.open_websocket():
            pass

        wait_for(lambda: opens(small))

    def test_listens_no_faster_than_people_click_and_others_are_heard(self, small, monkeypatch):
        monkeypatch.setattr(limits, "_BURST", 3)
        monkeypatch.setattr(limits, "_MESSAGES_PER_S", 0.001)
        with small.open_websocket() as one, small.open_websocket() as two:
            for number in range(10):
                one.send(str(number))
            wait_for(lambda: len(small.heard) == 3)
            two.send("of the same address")
            with small.open_websocket("127.0.0.2") as other:
                other.send("other")
                wait_for(lambda: "other" in small.heard)

        assert small.heard == ["0", "1", "2", "other"]

    def test_hears_all_that_was_said_before_leaving(self, small):
        with small.open_websocket() as websocket:
            for number in range(10):
                websocket.send(str(number))

        wait_for(lambda: small.heard == [str(number) for number in range(10)])

    @pytest.mark.parametrize("word", ["x", "x" * 300_000])
    def test_ends_a_flood_and_forgets_what_is_left_of_it(self, small, monkeypatch, word):
        monkeypatch.setattr(limits, "_BURST", 3)
        monkeypatch.setattr(limits, "_MESSAGES_PER_S", 0.001)
        monkeypatch.setattr(limits, "_MOST_SOCKETS", 1)

        def flood(websocket):
            for _number in range(1000):
                websocket.send(word)
            websocket.recv(timeout=20)

        with small.open_websocket() as websocket, pytest.raises(ConnectionClosed):
            flood(websocket)

        assert len(small.heard) <= 3
        wait_for(lambda: opens(small))


def test_open_files_go_up_to_what_the_system_allows():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        limits.allow_open_files()

        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(65_536, hard), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
