import asyncio
import http.client
import socket
import threading

import pytest
import uvicorn
from starlette.applications import Starlette

from core.api import picture_route
from core.images import PICTURES_PATH, store_picture, thumbnail_url
from core.pictures import accept_painting
from tests.builders import make_picture
from tests.waiting import wait_for

NAMES = [
    "../../etc/passwd",
    "..%2f..%2fdashboard.db",
    "%2e%2e%2fdashboard.db",
    "..%5c..%5cdashboard.db",
    "C:%5cx.png",
    "//host/x.png",
    "x.png%00.html",
    "x.html;.png",
    ".htaccess",
    "",
    "CON.png",
    "x.png:stream",
    "a" * 4096,
    "%F0%9F%8E%82.png",
    "%E2%80%AEgnp.x",
    "x.png%0d%0aSet-Cookie:%20a=b",
    "%3Cimg%20src=x%20onerror=alert(1)%3E.png",
    "$(id).png",
    "=1+1.png",
    "%ff.png",
    "ab",
    "ab" * 32,
    "AB" * 32 + ".png",
    "ab" * 32 + ".svg",
    "ab" * 32 + ".html",
    "ab" * 32 + ".png%0a",
    "ab" * 32 + ".png/",
    "ab/" + "ab" * 32 + ".png",
    "." + "ab" * 32 + ".png.0123456789abcdef.part",
]


@pytest.fixture
def app(make_app):
    return make_app()


@pytest.fixture
def server(app):
    """A real server with the picture route; yields its address."""
    web = Starlette(routes=[picture_route(lambda: app)])
    config = uvicorn.Config(web, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    yield listener.getsockname()
    server.should_exit = True
    thread.join()


@pytest.fixture
def ask(server):
    """Sends a request as it is; no client library cleans the path up."""

    def ask(path, method="GET", **headers):
        connection = http.client.HTTPConnection(*server, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in named.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    return ask


@pytest.fixture
def keep(app):
    """Puts a picture into the store; returns its address and bytes."""

    def keep(kind="PNG"):
        picture = accept_painting(make_picture(kind=kind))
        stored = store_picture(app.store, picture)
        return PICTURES_PATH + stored.name, picture

    return keep


class TestPictureRoute:
    @pytest.mark.parametrize(
        ("kind", "media_type"),
        [
            ("PNG", "image/png"),
            ("JPEG", "image/jpeg"),
            ("WEBP", "image/webp"),
            ("GIF", "image/gif"),
            ("AVIF", "image/avif"),
        ],
    )
    def test_serves_the_bytes_with_their_type(self, ask, keep, kind, media_type):
        url, picture = keep(kind)

        answer, body = ask(url)

        assert answer.status == 200
        assert answer.headers["Content-Type"] == media_type
        assert body == picture.data

    def test_serves_the_thumbnail(self, ask, keep):
        url, picture = keep()

        answer, body = ask(thumbnail_url(url))

        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/webp")
        assert body == picture.thumbnail

    def test_hands_no_more_out_than_a_reader_takes(self, app):
        name = "ab" * 32 + ".png"
        app.store.save(name, bytes(1024 * 1024))
        parts = []

        async def receive():
            await asyncio.Event().wait()

        async def send(message):
            parts.append(len(message.get("body", b"")))

        scope = {"type": "http", "method": "GET", "path": PICTURES_PATH + name, "headers": []}
        asyncio.run(picture_route(lambda: app)(scope, receive, send))

        assert sum(parts) == 1024 * 1024
        assert max(parts) <= 64 * 1024

    def test_lets_browsers_keep_it_and_guess_nothing(self, ask, keep):
        answer, _body = ask(keep()[0])

        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert "Set-Cookie" not in answer.headers

    def test_sends_nothing_that_the_browser_has(self, ask, keep):
        url, _picture = keep()
        etag = ask(url)[0].headers["ETag"]

        answer, body = ask(url, If_None_Match=etag)

        assert (answer.status, body) == (304, b"")
        assert answer.headers["ETag"] == etag
        assert "immutable" in answer.headers["Cache-Control"]

    def test_sends_it_to_a_browser_that_has_another(self, ask, keep):
        url, picture = keep()

        answer, body = ask(url, If_None_Match='"another"')

        assert (answer.status, body) == (200, picture.data)

    def test_answers_head_without_the_bytes(self, ask, keep):
        url, picture = keep()

        answer, body = ask(url, method="HEAD")

        assert (answer.status, body) == (200, b"")
        assert answer.headers["Content-Length"] == str(picture.byte_size)
        assert answer.headers["Content-Type"] == "image/png"

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    def test_takes_no_change(self, ask, keep, app, method):
        url, picture = keep()

        assert ask(url, method=method)[0].status == 405
        assert app.store.exists(picture.name)

    def test_has_no_picture_that_is_not_there(self, ask):
        url = PICTURES_PATH + "ab" * 32 + ".png"

        answer, _body = ask(url)
        with_etag, _body = ask(url, If_None_Match=f'"{"ab" * 32}.png"')

        assert answer.status == with_etag.status == 404
        assert "immutable" not in answer.headers.get("Cache-Control", "")

    @pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:24] or "nothing")
    def test_has_nothing_that_is_no_digest_of_ours(self, ask, name):
        answer, body = ask(PICTURES_PATH + name)

        assert answer.status in (307, 404) if name.endswith("/") else answer.status == 404
        assert b"root:" not in body
        assert b"SQLite" not in body
        assert "Set-Cookie" not in answer.headers

    def test_serves_no_other_file_of_the_folder(self, ask, app):
        (app.store.folder / "secret.png").write_bytes(make_picture())
        (app.store.folder / "ab").mkdir(exist_ok=True)
        (app.store.folder / "ab" / f"{'ab' * 32}.svg").write_text("<svg onload=alert(1)>")

        assert ask(PICTURES_PATH + "secret.png")[0].status == 404
        assert ask(PICTURES_PATH + "ab" * 32 + ".svg")[0].status == 404
