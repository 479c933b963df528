"""The simulator, and the HTTP around it."""

import base64
import hashlib
import json
import os
import re
import socket
import struct
import threading
import time
from collections import deque
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from tests.simulators.openai.checks import MODELS, check_openai, check_other, read_fields
from tests.simulators.openai.faults import (
    ADDRESSES,
    FAULTS,
    REFUSALS,
    SPOILERS,
    moderation,
    rate_limit,
)
from tests.simulators.openai.pictures import paint, streamed, usage
from tests.simulators.openai.wire import Answer, Broken, RefusedError, Request, error, page

KEY = "sk-proj-simulated-Qx7hT2mW9vLr4KpZ"


class OpenAISimulator:
    """OpenAI's Images API on loopback. ``with`` starts and stops it.

    ``latency`` is how long a picture takes, in seconds; ``images_per_minute`` the account's limit.
    ``imitates="other"`` plays a server that knows DALL-E 3, ``response_format`` and addresses.
    With ``is_fresh`` the same prompt never gives the same picture twice, as in reality.
    """

    def __init__(
        self,
        latency: float = 0.0,
        *,
        key: str = KEY,
        host: str = "127.0.0.1",
        port: int = 0,
        images_per_minute: int | None = None,
        imitates: Literal["openai", "other"] = "openai",
        is_fresh: bool = False,
    ) -> None:
        self.latency = latency
        self.key = key
        self.images_per_minute = images_per_minute
        self.imitates = imitates
        self.is_fresh = is_fresh
        self.slow_seconds = 3600.0
        """How long the fault ``slow`` takes."""
        self.drip_seconds = 0.05
        """The time between two bytes of the fault ``drip``."""
        self.minute = 60.0
        """How long a minute lasts, for tests of the limit."""
        self._lock = threading.Lock()
        self.stopped = threading.Event()
        self._at_once = 0
        self._files: dict[str, Answer] = {}
        self.reset()
        self._server = _Server((host, port), _Handler)
        self._server.simulator = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    def reset(self) -> None:
        """Forget all requests, bills and faults."""
        self.requests: list[Request] = []
        """Everything that was asked for under ``/v1``."""
        self.downloads: list[Request] = []
        self.bill = 0
        """How many pictures an account would have paid for."""
        self.most_at_once = 0
        """The largest number of pictures in the making at one time."""
        self._faults: deque[list[Any]] = deque()
        self._given: deque[bytes] = deque()
        self._marked: dict[str, int] = {}
        self._painted_at: deque[float] = deque()

    @property
    def root(self) -> str:
        host, port = cast(tuple[str, int], self._server.server_address)
        return f"http://{host}:{port}"

    @property
    def url(self) -> str:
        """What ``OPENAI_BASE_URL`` should be."""
        return f"{self.root}/v1"

    @property
    def asked(self) -> int:
        """How often a picture was asked for, whatever came of it."""
        return sum(request.method == "POST" for request in self.requests)

    def fail(self, kind: str, times: int | None = 1) -> None:
        """Make the next ``times`` pictures fail; None means all from now on."""
        if kind not in FAULTS:
            raise ValueError(f"no fault is called {kind!r}; there are {', '.join(FAULTS)}")
        with self._lock:
            self._faults.append([kind, times])

    def give(self, data: bytes) -> None:
        """Have the next picture be these bytes, whatever they are."""
        with self._lock:
            self._given.append(data)

    def heal(self) -> None:
        """Let pictures succeed again."""
        with self._lock:
            self._faults.clear()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopped.set()
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> "OpenAISimulator":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # What happens to a request

    def handle(self, request: Request, form: dict[str, Any] | None) -> Answer | Broken:
        """Answer a request; ``form`` holds the fields of a multipart one."""
        path = urlsplit(request.path).path
        if path == "/_control":
            return self._control(request)
        if path.startswith("/files/"):
            with self._lock:
                self.downloads.append(request)
            return self._file(path, request)
        with self._lock:
            self.requests.append(request)
        try:
            known = {
                ("GET", "/v1/models"),
                ("POST", "/v1/images/generations"),
                ("POST", "/v1/images/edits"),
            }
            is_one_model = request.method == "GET" and path.startswith("/v1/models/")
            if (request.method, path) not in known and not is_one_model:
                return REFUSALS["not_found"]
            self._authorize(request)
            if request.method == "GET":
                return self._models(path.removeprefix("/v1/models").strip("/"))
            return self._paint(request, form)
        except RefusedError as refused:
            return refused.answer

    def _authorize(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if given == self.key:
            return
        if self.imitates == "other":
            raise RefusedError(error(401, f"Invalid token: {given}", None, "new_api_error"))
        raise RefusedError(self._bad_key(given))

    def _bad_key(self, given: str) -> Answer:
        if not given:
            return error(401, "You didn't provide an API key.", None)
        masked = given[:8] + "*" * max(3, len(given) - 12) + given[-4:]
        return error(
            401,
            f"Incorrect API key provided: {masked}. You can find your API key at"
            " https://platform.openai.com/account/api-keys.",
            "invalid_api_key",
        )

    def _models(self, name: str) -> Answer:
        models = dict.fromkeys(("dall-e-3", "flux-1-dev")) if self.imitates == "other" else MODELS
        rows = [
            {
                "id": model,
                "object": "model",
                "created": 1_772_000_000,
                "owned_by": "system",
                "shutdown_date": end,
            }
            for model, end in models.items()
        ]
        if not name:
            return Answer(json={"object": "list", "data": rows})
        for row in rows:
            if row["id"] == name:
                return Answer(json=row)
        return error(404, f"The model '{name}' does not exist", "model_not_found", param="model")

    def _paint(self, request: Request, form: dict[str, Any] | None) -> Answer | Broken:
        is_edit = request.path.endswith("/edits")
        body = form if is_edit and form is not None else request.body
        if not isinstance(body, dict) or "_unreadable" in body:
            raise RefusedError(error(400, "We could not parse the JSON body of your request."))
        if is_edit:
            body = read_fields(body)
        order = check_other(body) if self.imitates == "other" else check_openai(body, is_edit)
        fault = self._next_fault(order["prompt"])

        if fault in REFUSALS:
            return REFUSALS[fault]
        if fault in ("invalid_api_key", "key_echo"):
            given = request.headers["authorization"].removeprefix("Bearer ")
            if fault == "invalid_api_key":
                return self._bad_key(given)
            return error(400, f"upstream refused {given} (Bearer {given}), masked sk-pr...4KpZ")
        if fault == "garbage":
            return Broken(b"\x00\x01 this is not HTTP \r\n\r\n")
        self._hold_to_the_limit(order["n"])
        with self._lock:
            if fault != "moderation_output":
                self.bill += order["n"]
            salt = str(self.bill) if self.is_fresh else ""
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.stopped.wait(self.slow_seconds if fault == "slow" else self.latency)
        finally:
            with self._lock:
                self._at_once -= 1
        if fault == "moderation_output":
            return moderation("output")
        answer = self._finished(order, salt, fault)
        return self._spoiled(answer, fault, order)

    def _next_fault(self, prompt: str) -> str | None:
        """The fault that is due: one named in the prompt, else one that ``fail`` asked for."""
        marker = re.search(r"\[\[fault:(\w+)(?::(\d+))?\]\]", prompt)
        with self._lock:
            if marker and marker[1] in FAULTS:
                done = self._marked.get(prompt, 0)
                self._marked[prompt] = done + 1
                if marker[2] is None or done < int(marker[2]):
                    return marker[1]
                return None
            if not self._faults:
                return None
            first = self._faults[0]
            if first[1] is not None:
                first[1] -= 1
                if first[1] <= 0:
                    self._faults.popleft()
            return str(first[0])

    def _hold_to_the_limit(self, count: int) -> None:
        if self.images_per_minute is None:
            return
        now = time.monotonic()
        with self._lock:
            while self._painted_at and self._painted_at[0] <= now - self.minute:
                self._painted_at.popleft()
            if len(self._painted_at) + count > self.images_per_minute:
                wait = self.minute - (now - self._painted_at[0]) if self._painted_at else 1.0
                raise RefusedError(rate_limit(self.images_per_minute, f"{max(wait, 0.001):.3f}s"))
            self._painted_at.extend([now] * count)

    def _finished(self, order: dict[str, Any], salt: str, fault: str | None) -> Answer:
        """The answer to an order that was painted."""
        size = "512x512" if fault == "wrong_size" else order["size"]
        kind = order["output_format"]
        is_clear = order["background"] == "transparent"
        with self._lock:
            given = [self._given.popleft() for _ in range(min(order["n"], len(self._given)))]
        pictures = given or [
            paint(f"{order['prompt']}{salt}#{index}", size, kind, is_clear)
            for index in range(order["n"])
        ]
        if fault in ADDRESSES or order["wants_url"]:
            items = [{"url": self._keep(data, kind, fault or "url")} for data in pictures]
        else:
            items = [{"b64_json": base64.b64encode(data).decode()} for data in pictures]
        body: dict[str, Any] = {"created": int(time.time()), "data": items}
        if self.imitates == "other":
            for item in items:
                item["revised_prompt"] = f"A detailed picture: {order['prompt']}"
            return Answer(json=body)
        body |= {
            "background": "transparent" if is_clear else "opaque",
            "output_format": kind,
            "quality": order["quality"],
            "size": order["size"],
            "usage": usage(order),
        }
        if order["stream"]:
            return streamed(body, order)
        return Answer(json=body)

    def _keep(self, data: bytes, kind: str, fault: str) -> str:
        """Put a picture where it can be downloaded; return its address."""
        name = hashlib.sha256(data).hexdigest()[:16]
        self._files[f"/files/{name}"] = Answer(content=data, media_type=f"image/{kind}")
        return f"{self.root}/files/{name}" + ("" if fault == "url" else f"?fault={fault}")

    def _file(self, path: str, request: Request) -> Answer:
        fault, _, hop = urlsplit(request.path).query.removeprefix("fault=").partition("-")
        if not request.headers.get("user-agent"):
            return Answer(403, content=b"a User-Agent is required", media_type="text/plain")
        hops = {"url_redirect": 1, "url_redirects": 4}.get(fault, 0)
        if int(hop or 0) < hops:
            target = f"{self.root}{path}?fault={fault}-{int(hop or 0) + 1}"
            return Answer(302, content=b"", headers={"location": target})
        if fault == "url_404" or path not in self._files:
            return page(404, "gone")
        if fault == "url_html":
            return page(200, "Please sign in")
        if fault == "url_big":
            return Answer(
                content=b"\xff\xd8\xff" + bytes(26 * 1024 * 1024), media_type="image/jpeg"
            )
        is_first = sum(urlsplit(seen.path).path == path for seen in self.downloads) == 1
        if fault == "url_503" or (fault == "url_flaky" and is_first):
            return page(503, "busy")
        return self._files[path]

    def _spoiled(self, answer: Answer, fault: str | None, order: dict[str, Any]) -> Answer | Broken:
        if fault in SPOILERS and isinstance(answer.json, dict):
            return Answer(json=SPOILERS[fault](answer.json))
        if fault in ("drop", "slow"):
            return Broken(b"")
        if fault == "reset":
            return Broken(b"", "reset")
        if fault in ("cut_body", "drip"):
            body = answer.raw
            head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n"
            head += "content-type: application/json\r\n\r\n"
            cut = Broken(head.encode() + body[: len(body) // 2])
            return cut if fault == "cut_body" else Broken(cut.content, "drip")
        if fault == "cut_json":
            return Answer(content=answer.raw[:-20])
        if fault == "empty_body":
            return Answer(content=b"")
        if fault == "text_plain":
            return Answer(content=answer.raw, media_type="text/plain")
        return answer

    def _control(self, request: Request) -> Answer:
        wanted = request.body
        if request.method == "POST":
            if wanted.get("reset"):
                self.reset()
            for name in ("latency", "images_per_minute", "imitates", "is_fresh", "slow_seconds"):
                if name in wanted:
                    setattr(self, name, wanted[name])
            if "fail" in wanted:
                try:
                    self.fail(wanted["fail"], wanted.get("times", 1))
                except ValueError as refusal:
                    return Answer(400, {"detail": str(refusal)})
        with self._lock:
            return Answer(
                json={
                    "requests": len(self.requests),
                    "asked": self.asked,
                    "downloads": len(self.downloads),
                    "bill": self.bill,
                    "most_at_once": self.most_at_once,
                }
            )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    simulator: OpenAISimulator

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about, not news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        started = time.monotonic()
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        form = None
        body: dict[str, Any] = {}
        if headers.get("content-type", "").startswith("multipart/form-data"):
            form = _read_form(headers["content-type"], content)
        elif content:
            try:
                body = json.loads(content)
            except ValueError:
                body = {"_unreadable": True}
            if not isinstance(body, dict):
                body = {"_unreadable": True}
        request = Request(self.command, self.path, headers, body)
        answer = self.server.simulator.handle(request, form)
        if isinstance(answer, Broken):
            self._break_off(answer)
            return
        self._send(answer, started)

    def _break_off(self, answer: Broken) -> None:
        self.close_connection = True
        if answer.manner == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
        elif answer.manner == "drip":  # a byte now and then, for as long as somebody listens
            for byte in answer.content:
                self.wfile.write(bytes([byte]))
                if self.server.simulator.stopped.wait(self.server.simulator.drip_seconds):
                    return
        else:
            self.wfile.write(answer.content)

    def _send(self, answer: Answer, started: float) -> None:
        raw = answer.raw
        limit = self.server.simulator.images_per_minute or 5
        headers = {
            "content-length": str(len(raw)),
            "content-type": answer.media_type,
            "x-request-id": "req_" + hashlib.sha256(str(started).encode()).hexdigest()[:24],
            "openai-organization": "org-sim",
            "openai-processing-ms": str(int((time.monotonic() - started) * 1000)),
            "openai-version": "2020-10-01",
            "x-ratelimit-limit-requests": str(limit),
            "x-ratelimit-remaining-requests": str(max(0, limit - 1)),
            "x-ratelimit-reset-requests": "12s",
            **answer.headers,
        }
        lines = [f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('OK',))[0]}"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self.wfile.write(head + (b"" if self.command == "HEAD" else raw))  # at once: no 40 ms wait


def _read_form(content_type: str, content: bytes) -> dict[str, Any]:
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + content
    )
    form: dict[str, Any] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        form.setdefault(str(name), []).append(part.get_payload(decode=True))
    return form
