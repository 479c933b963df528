"""The guard before a small server, over real HTTP and websockets."""

import base64
import hashlib
import http.client
import re
import socket
import threading
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from core.api.guard import Guard, page_policy
from core.site import LOOPBACK, Site
from tests.waiting import wait_for

POLICY = "default-src 'self'; frame-ancestors 'none'"
NOTHING = "default-src 'none'; frame-ancestors 'none'"
STRICTER = "default-src 'none'; sandbox"


class Small:
    """A server behind the guard; ``site`` is how it is reached, ``reached`` what got through."""

    def __init__(self):
        self.site = LOOPBACK
        self.reached = []
        self.is_open = False
        self.port = 0

    def app(self):
        async def page(request):
            self.reached.append(request.url.path)
            return PlainTextResponse("page")

        async def stream(request):
            return StreamingResponse(iter([b"one", b"two"]))

        async def strict(request):
            return Response(headers={"Content-Security-Policy": STRICTER})

        async def bug(request):
            raise RuntimeError("a bug")

        async def leave(request):
            answer = RedirectResponse("/page")
            answer.set_cookie("gone", "1")
            return answer

        async def cookies(request):
            answer = Response()
            answer.headers.append("Set-Cookie", "plain=1; Path=/; HttpOnly")
            answer.headers.append("Set-Cookie", "safe=1; Path=/; Secure; SameSite=lax")
            answer.headers.append("Set-Cookie", "small=1; path=/; secure")
            answer.headers.append("Set-Cookie", "secure=1")
            return answer

        async def echo(websocket):
            self.reached.append(websocket.url.path)
            await websocket.accept()
            await websocket.send_text("hello")
            await websocket.close()

        def source():
            assert self.is_open, "asked before the server had opened everything"
            return SimpleNamespace(site=self.site)

        @asynccontextmanager
        async def lifespan(_server):
            self.is_open = True
            yield

        methods = ["GET", "HEAD", "POST", "OPTIONS"]
        pages = [
            Route("/page", page, methods=methods),
            Route("/stream", stream),
            Route("/strict", strict),
            Route("/bug", bug),
            Route("/leave", leave),
            Route("/cookies", cookies),
            Route("/_stcore/metrics", page, methods=methods),
            Route("/_stcore/health", page),
            WebSocketRoute("/_stcore/stream", echo),
            Mount("/api", routes=[Route("/call", page, methods=methods), Route("/strict", strict)]),
        ]
        return Starlette(
            routes=[*pages, Mount("/base/path", routes=pages)],
            middleware=[Middleware(Guard, app_source=source, policy=POLICY)],
            lifespan=lifespan,
        )

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def ask(self, path, *headers, method="GET", host=...):
        """Send exactly these headers; ``host`` None sends no Host."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            host = self.host if host is ... else host
            for name, value in ([("Host", host)] if host is not None else []) + list(headers):
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            answer.text = answer.read().decode()
            return answer
        finally:
            connection.close()

    def open_websocket(self, path="/_stcore/stream", *, host=None, origin=None):
        """Return what the server says first."""
        plug = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        address = f"ws://{host or self.host}{path}"
        with connect(address, sock=plug, origin=origin, proxy=None, open_timeout=10) as websocket:
            return websocket.recv(timeout=10)


@pytest.fixture(scope="module")
def served():
    small = Small()
    config = uvicorn.Config(small.app(), log_level="critical", lifespan="on")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    small.port = listener.getsockname()[1]
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    yield small
    server.should_exit = server.force_exit = True
    thread.join(10)


@pytest.fixture
def small(served):
    served.site = LOOPBACK
    served.reached.clear()
    return served


def is_guarded(answer, policy=POLICY):
    """Whether an answer carries every header once; fails saying which it lacks."""
    expected = {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Content-Security-Policy": policy,
    }
    got = {name: answer.headers.get_all(name) for name in expected}
    assert got == {name: [value] for name, value in expected.items()}
    return True


class TestHeaders:
    @pytest.mark.parametrize(
        ("path", "status", "method"),
        [
            ("/page", 200, "GET"),
            ("/page", 200, "HEAD"),
            ("/page", 200, "POST"),
            ("/page", 405, "DELETE"),
            ("/base/path/page", 200, "GET"),
            ("/stream", 200, "GET"),
            ("/page/", 307, "GET"),
            ("/leave", 307, "GET"),
            ("/nowhere", 404, "GET"),
            ("/_stcore/metrics", 404, "GET"),
        ],
    )
    def test_are_on_every_answer(self, small, path, status, method):
        answer = small.ask(path, method=method)

        assert answer.status == status
        assert is_guarded(answer)

    def test_are_on_the_answer_to_a_bug(self, small):
        answer = small.ask("/bug")

        assert answer.status == 500
        assert is_guarded(answer)

    @pytest.mark.parametrize(
        ("path", "status"), [("/api/call", 200), ("/api/nowhere", 404), ("/api/call/", 307)]
    )
    def test_let_calls_show_nothing(self, small, path, status):
        answer = small.ask(path)

        assert answer.status == status
        assert is_guarded(answer, NOTHING)

    @pytest.mark.parametrize("path", ["/strict", "/api/strict", "/base/path/strict"])
    def test_keep_a_stricter_policy(self, small, path):
        assert is_guarded(small.ask(path), STRICTER)

    @pytest.mark.parametrize("path", ["/apis", "/api-docs", "/x/api/call"])
    def test_take_only_the_api_for_the_api(self, small, path):
        assert is_guarded(small.ask(path))

    def test_leave_the_answer_as_it_is(self, small):
        answer = small.ask("/page")

        assert answer.text == "page"
        assert answer.headers["Content-Type"].startswith("text/plain")


class TestHost:
    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8501", "[::1]:8501", "127.0.0.1"])
    def test_that_is_ours_is_let_in(self, small, host):
        assert small.ask("/page", host=host).text == "page"

    @pytest.mark.parametrize(
        "host",
        ["evil.test", "localhost.evil.test", "127.0.0.1@evil.test", "192.168.1.7", "a b", ""],
        ids=repr,
    )
    @pytest.mark.parametrize("path", ["/page", "/api/call", "/_stcore/health"])
    def test_that_is_not_is_refused(self, small, path, host):
        assert small.ask(path, host=host).status == 403
        assert small.reached == []

    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    def test_that_is_not_told_is_refused(self, small, version):
        with socket.create_connection(("127.0.0.1", small.port), timeout=10) as plug:
            plug.sendall(f"GET /page HTTP/{version}\r\nConnection: close\r\n\r\n".encode())
            first_line = plug.makefile("rb").readline()

        assert first_line.split()[1] in (b"400", b"403")
        assert small.reached == []

    def test_is_refused_in_a_sentence(self, small):
        answer = small.ask("/page", host="evil.test")

        assert answer.status == 403
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert "does not go by that name" in answer.text
        assert "ALLOWED_HOSTS" in answer.text
        assert "evil.test" not in answer.text
        assert is_guarded(answer)

    def test_is_refused_as_a_problem_by_the_api(self, small):
        answer = small.ask("/api/call", host="evil.test")

        assert answer.status == 403
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "does not go by that name" in answer.text
        assert is_guarded(answer, NOTHING)

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
    def test_is_asked_for_whatever_the_method(self, small, method):
        assert small.ask("/page", method=method, host="evil.test").status == 403
        assert small.reached == []

    def test_is_not_told_by_a_proxy_s_header(self, small):
        answer = small.ask("/page", ("X-Forwarded-Host", "localhost"), host="evil.test")

        assert answer.status == 403

    def test_is_looked_up_at_each_request(self, small):
        assert small.ask("/page", host="capista.example.com").status == 403

        small.site = Site(names=frozenset({"capista.example.com"}))

        assert small.ask("/page", host="capista.example.com").status == 200


class TestOrigin:
    @pytest.mark.parametrize("path", ["/page", "/api/call"])
    @pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
    def test_of_the_same_server_is_let_in(self, small, path, method):
        answer = small.ask(path, ("Origin", f"http://{small.host}"), method=method)

        assert answer.status == 200

    def test_of_a_server_behind_https_is_let_in(self, small):
        small.site = Site(names=frozenset({"capista.example.com"}), is_https=True)

        origin = ("Origin", "https://capista.example.com")

        assert small.ask("/page", origin, host="capista.example.com").status == 200

    def test_that_is_not_told_is_let_in(self, small):
        assert small.ask("/api/call", method="POST").status == 200

    @pytest.mark.parametrize(
        "origin",
        ["http://evil.test", "http://127.0.0.1", "http://localhost", "null", "file://", "", "*"],
    )
    @pytest.mark.parametrize(("path", "policy"), [("/page", POLICY), ("/api/call", NOTHING)])
    def test_of_another_is_refused(self, small, path, policy, origin):
        for method in ("GET", "POST", "OPTIONS"):
            answer = small.ask(path, ("Origin", origin), method=method)

            assert answer.status == 403
            assert "Web pages of other servers" in answer.text
            assert answer.headers["Access-Control-Allow-Origin"] is None
            assert is_guarded(answer, policy)

        assert small.reached == []

    def test_does_not_make_up_for_a_wrong_host(self, small):
        answer = small.ask("/page", ("Origin", "http://evil.test"), host="evil.test")

        assert answer.status == 403
        assert small.reached == []


class TestWebsocket:
    @pytest.mark.parametrize("path", ["/_stcore/stream", "/base/path/_stcore/stream"])
    def test_of_the_same_server_is_let_in(self, small, path):
        assert small.open_websocket(path, origin=f"http://{small.host}") == "hello"

    def test_of_a_program_is_let_in(self, small):
        assert small.open_websocket() == "hello"

    @pytest.mark.parametrize(
        "origin", ["http://evil.test", "http://localhost", "https://127.0.0.1", "null", "file://"]
    )
    def test_of_another_page_is_refused_before_it_opens(self, small, origin):
        with pytest.raises(InvalidStatus) as raised:
            small.open_websocket(origin=origin)

        assert raised.value.response.status_code == 403
        assert small.reached == []

    @pytest.mark.parametrize("host", ["evil.test", "localhost.evil.test:8501", "192.168.1.7"])
    @pytest.mark.parametrize("with_origin", [True, False])
    def test_under_another_name_is_refused_before_it_opens(self, small, host, with_origin):
        with pytest.raises(InvalidStatus) as raised:
            small.open_websocket(host=host, origin=f"http://{host}" if with_origin else None)

        assert raised.value.response.status_code == 403
        assert small.reached == []


class TestClosed:
    @pytest.mark.parametrize(
        "path",
        [
            "/_stcore/metrics",
            "/_stcore/metrics?format=text",
            "/%5Fstcore/metrics",
            "/_stcore/%6Detrics",
            "/base/path/_stcore/metrics",
        ],
    )
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
    def test_metrics_are_not_there(self, small, path, method):
        answer = small.ask(path, method=method)

        assert (answer.status, answer.text) == (404, "")
        assert small.reached == []

    def test_metrics_are_not_there_for_strangers_either(self, small):
        assert small.ask("/_stcore/metrics", host="evil.test").status == 403

    @pytest.mark.parametrize("path", ["/_stcore/metrics/", "//_stcore/metrics"])
    def test_no_other_way_leads_to_metrics(self, small, path):
        assert small.ask(path).status in (307, 404)
        assert small.reached == []

    def test_the_rest_stays(self, small):
        assert small.ask("/_stcore/health").text == "page"


class TestCookies:
    def test_are_kept_to_https_where_it_is_spoken(self, small):
        small.site = Site(is_https=True)

        assert small.ask("/cookies").headers.get_all("Set-Cookie") == [
            "plain=1; Path=/; HttpOnly; Secure",
            "safe=1; Path=/; Secure; SameSite=lax",
            "small=1; path=/; secure",
            "secure=1; Secure",
        ]
        assert small.ask("/leave").headers["Set-Cookie"].endswith("; Secure")

    def test_are_left_alone_where_it_is_not(self, small):
        assert small.ask("/cookies").headers.get_all("Set-Cookie") == [
            "plain=1; Path=/; HttpOnly",
            "safe=1; Path=/; Secure; SameSite=lax",
            "small=1; path=/; secure",
            "secure=1",
        ]

    def test_are_not_made_up(self, small):
        small.site = Site(is_https=True)

        answer = small.ask("/page")

        assert answer.headers["Set-Cookie"] is None
        assert is_guarded(answer)


class InlineScripts(HTMLParser):
    """Collects what a browser would run as an inline script."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self._is_inside = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self._is_inside = tag == "script" and "src" not in dict(attrs)
        if self._is_inside:
            self.found.append("")

    def handle_endtag(self, tag):
        self._is_inside = False

    def handle_data(self, data):
        if self._is_inside:
            self.found[-1] += data


def sources(policy):
    """Return what a policy allows, by directive."""
    directives = [directive.split() for directive in policy.split("; ")]
    assert len({name for name, *_ in directives}) == len(directives)
    return {name: set(allowed) for name, *allowed in directives}


class TestPagePolicy:
    INDEX = (Path(streamlit.__file__).parent / "static" / "index.html").read_text()

    def test_has_the_hash_that_a_browser_computes(self):
        # The example of https://www.w3.org/TR/CSP2/#script-src-hash-usage
        policy = page_policy(["<html><script>alert('Hello, world.');</script></html>"])

        assert sources(policy)["script-src"] == {
            "'self'",
            "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='",
        }

    def test_has_every_inline_script_of_every_document(self):
        pages = ["<script>1</script><p><script>\n 2 é\n</script>", "<b><script>3</script>"]

        allowed = sources(page_policy(pages))["script-src"]

        assert allowed == {"'self'"} | {
            f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
            for script in (b"1", "\n 2 é\n".encode(), b"3")
        }

    def test_lets_streamlit_s_own_page_run(self):
        scripts = InlineScripts(self.INDEX).found
        assert scripts

        allowed = sources(page_policy([self.INDEX]))["script-src"]

        for script in scripts:
            digest = hashlib.sha256(script.encode()).digest()
            assert f"'sha256-{base64.b64encode(digest).decode()}'" in allowed

    @pytest.mark.parametrize("html", [[], [""], ["<script src='x.js'></script>"]], ids=str)
    def test_knows_pages_without_a_script(self, html):
        assert sources(page_policy(html))["script-src"] == {"'self'"}

    def test_allows_nothing_from_elsewhere(self):
        policy = page_policy([self.INDEX])

        for name, allowed in sources(policy).items():
            hashes = {source for source in allowed if re.fullmatch(r"'sha256-[\w+/]{43}='", source)}
            assert allowed - hashes <= {"'self'", "'none'", "'unsafe-inline'", "data:", "blob:"}
            assert name == "script-src" or not hashes
            assert name == "style-src" or "'unsafe-inline'" not in allowed
        assert "*" not in policy
        assert "http" not in policy
        assert "unsafe-eval" not in policy

    @pytest.mark.parametrize(
        ("directive", "allowed"),
        [
            ("default-src", {"'self'"}),
            ("object-src", {"'none'"}),
            ("base-uri", {"'self'"}),
            ("form-action", {"'self'"}),
            ("frame-ancestors", {"'none'"}),
        ],
    )
    def test_says_what_the_default_does_not_cover(self, directive, allowed):
        assert sources(page_policy([]))[directive] == allowed

    def test_lets_no_script_be_data(self):
        assert not {"data:", "blob:"} & sources(page_policy([self.INDEX]))["script-src"]

    def test_goes_into_a_header(self):
        policy = page_policy([self.INDEX])

        assert policy.isascii()
        assert policy.isprintable()
