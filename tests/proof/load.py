"""Attacks a real server in every way we know, and measures how it and an ordinary person fare.

``python -m tests.proof.load`` prints a Markdown table and ends with 1 when a limit is broken;
names of attacks after it run only those. The attackers are a process of their own.
"""

import asyncio
import http.client
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path

from PIL import Image
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.e2e import sites

MOST_MEMORY_MB = 700
SLOWEST_P95_S = 5.0
PATIENCE_S = 15.0
ELSEWHERE = ("127.0.0.2", 0)
"""Attackers open websockets from another address than people do."""
USUAL_FILES = 1024
"""Open files that a process may have by default on most Linux systems."""


@dataclass(frozen=True)
class Target:
    """What an attacker knows."""

    port: int
    token: str
    picture: str

    @property
    def socket_url(self) -> str:
        return f"ws://localhost:{self.port}/_stcore/stream"


@dataclass
class Experience:
    """How an ordinary person fared at one kind of request."""

    times: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def p95(self) -> float:
        return sorted(self.times)[ceil(len(self.times) * 0.95) - 1] if self.times else float("inf")


# What attackers do. Each returns how often it was told what.


def jpeg(number: int, megapixels: int = 12) -> bytes:
    """Return a JPEG that no other number has, of about 0.4 MB a megapixel."""
    if megapixels not in _noise:
        file = io.BytesIO()
        noise = Image.effect_noise((4000, megapixels * 250), 60).convert("RGB")
        noise.save(file, "JPEG", quality=52)
        _noise[megapixels] = file.getvalue()
    comment = f"{number:020d}".encode()
    return b"\xff\xd8\xff\xfe\x00\x16" + comment + _noise[megapixels][2:]


_noise: dict[int, bytes] = {}


def form(data: bytes, name: str) -> bytes:
    """Return a multipart body with one file."""
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="a.jpg"\r\n'
    return head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + data + b"\r\n--x--\r\n"


def head(target: Target, method: str, path: str, **headers: object) -> bytes:
    """Return the head of a request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{target.port}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def send(
    target: Target, pieces: Iterator[bytes], *, pause: float = 0, patience: float = PATIENCE_S
) -> tuple[str, int]:
    """Send a request until it is answered; return the status and the bytes that were sent."""
    sent = 0
    try:
        reader, writer = await asyncio.open_connection("localhost", target.port)
    except OSError:
        return "no connection", 0
    status = asyncio.create_task(reader.readline())
    try:
        with suppress(OSError):
            for piece in pieces:
                writer.write(piece)
                await asyncio.wait_for(writer.drain(), patience)
                sent += len(piece)
                if pause:
                    await asyncio.wait([status], timeout=pause)
                if status.done():
                    break
        line = await asyncio.wait_for(status, patience)
        return (line.split()[1].decode() if line else "cut off"), sent
    except TimeoutError:
        return "no answer", sent
    except OSError:
        return "cut off", sent
    finally:
        status.cancel()
        writer.close()


async def uploads_by_api(target: Target, count: int = 200, megapixels: int = 12) -> Counter[str]:
    """Upload so many pictures at once."""

    async def upload(number: int) -> str:
        body = form(jpeg(number, megapixels), "image")
        start = head(
            target,
            "POST",
            f"/api/products/{number % 20 + 1}/images/upload",
            Authorization=f"Bearer {target.token}",
            Content_Type="multipart/form-data; boundary=x",
            Content_Length=len(body),
        )
        return (await send(target, iter([start, body]), patience=120))[0]

    return Counter(await asyncio.gather(*(upload(number) for number in range(count))))


async def largest_uploads(target: Target) -> Counter[str]:
    """Upload many pictures at once that are as large as is taken."""
    return await uploads_by_api(target, 60, 50)


async def open_session(target: Target) -> tuple[ClientConnection, str]:
    """Open a websocket as a page does; return it with the id of its session."""
    socket = await connect_async(
        target.socket_url,
        subprotocols=["streamlit"],  # type: ignore[list-item]
        origin=f"http://localhost:{target.port}",  # type: ignore[arg-type]
        max_size=None,
        proxy=None,
        local_addr=ELSEWHERE,
        ping_interval=None,
        open_timeout=PATIENCE_S,
    )
    await socket.send(rerun())
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message = ForwardMsg.FromString(await socket.recv())  # type: ignore[arg-type]
            if message.WhichOneof("type") == "new_session":
                return socket, message.new_session.initialize.session_id


def rerun() -> bytes:
    """Return what a page says to be drawn."""
    message = BackMsg()
    message.rerun_script.query_string = ""
    return message.SerializeToString()


def xsrf(target: Target) -> str:
    """Return the value that a page shows when it uploads."""
    with urllib.request.urlopen(f"http://localhost:{target.port}/_stcore/health") as answer:
        return str(answer.headers["Set-Cookie"]).split(";")[0].partition("=")[2].strip('"')


async def put(target: Target, session: str, number: int, body: bytes, key: str) -> str:
    """Upload as a page does."""
    start = head(
        target,
        "PUT",
        f"/_stcore/upload_file/{session}/file-{number}",
        Cookie=f"_streamlit_xsrf={key}",
        X_Xsrftoken=key,
        Content_Type="multipart/form-data; boundary=x",
        Content_Length=len(body),
    )
    return (await send(target, iter([start, body]), patience=60))[0]


async def uploads_by_page(target: Target, count: int = 200) -> Counter[str]:
    """Upload so many pictures at once as one page."""
    key = xsrf(target)
    socket, session = await open_session(target)
    async with socket:
        tries = (put(target, session, n, form(jpeg(n), "file"), key) for n in range(count))
        return Counter(await asyncio.gather(*tries))


async def hoard(target: Target, count: int = 1000) -> Counter[str]:
    """Upload 19 MB again and again as one page, and never use it."""
    key, body = xsrf(target), form(bytes(19 * 1024**2), "file")
    told: Counter[str] = Counter()
    socket, session = await open_session(target)
    async with socket:
        reader = asyncio.create_task(_read_all(socket))  # or the server takes the page for gone
        for start in range(0, count, 4):
            tries = (put(target, session, start + n, body, key) for n in range(4))
            told.update(await asyncio.gather(*tries))
        reader.cancel()
    return told


async def hoards_of_many(target: Target, count: int = 100) -> Counter[str]:
    """Upload 19 MB each as so many pages, and never use it."""
    key, body = xsrf(target), form(bytes(19 * 1024**2), "file")
    told: Counter[str] = Counter()
    opened = []
    for number in range(count):
        try:
            socket, session = await open_session(target)
        except (InvalidStatus, OSError) as error:
            told[_told(error)] += 1
            continue
        opened.append((socket, asyncio.create_task(_read_all(socket))))
        told[await put(target, session, number, body, key)] += 1
    for socket, reader in opened:
        reader.cancel()
        socket.transport.abort()
    return told


async def huge_bodies(target: Target, size: int = 2 * 1024**3) -> Counter[str]:
    """Send 2 GB to each kind of route, with the length said and unsaid."""
    key = xsrf(target)
    socket, session = await open_session(target)
    bearer = f"Bearer {target.token}"
    multipart = "multipart/form-data; boundary=x"
    routes: list[tuple[str, str, dict[str, object]]] = [
        ("POST", "/api/products/1/images/upload", {"Authorization": bearer}),
        ("POST", "/api/products/1/notes", {"Authorization": bearer}),
        ("POST", "/api/hotmart/webhook", {"X_HOTMART_HOTTOK": "right"}),
        ("PUT", f"/_stcore/upload_file/{session}/x", {"Cookie": f"_streamlit_xsrf={key}"}),
        ("POST", "/", {}),
        ("GET", "/", {}),
    ]
    piece = bytes(64 * 1024)
    told: Counter[str] = Counter()
    async with socket:
        for method, path, headers in routes:
            kind = "application/json" if "upload" not in path else multipart
            headers |= {"Content_Type": kind, "X_Xsrftoken": key}
            said = head(target, method, path, Content_Length=size, **headers)
            pieces = _pieces(said, piece, size // len(piece))
            told[_named(*await send(target, pieces))] += 1
            unsaid = head(target, method, path, Transfer_Encoding="chunked", **headers)
            if "upload" in path:
                opening = form(b"", "image").removesuffix(b"\r\n--x--\r\n")
                unsaid += b"%x\r\n%b\r\n" % (len(opening), opening)
            pieces = _pieces(unsaid, b"10000\r\n" + piece + b"\r\n", size // len(piece))
            told[_named(*await send(target, pieces))] += 1
    return told


def _named(status: str, sent: int) -> str:
    return f"{status} after {'< 32' if sent < 32 * 1024**2 else sent // 1024**2} MB"


def _pieces(start: bytes, piece: bytes, count: int) -> Iterator[bytes]:
    yield start
    for _number in range(count):
        yield piece


async def _slowly(target: Target, start: bytes, rest: bytes, count: int) -> Counter[str]:
    """Send the start at once and a byte a second of the rest, on many connections."""

    async def crawl() -> str:
        bytes_of = iter([start, *(rest[n : n + 1] for n in range(40))])
        return (await send(target, bytes_of, pause=1.0, patience=1.0))[0]

    return Counter(await asyncio.gather(*(crawl() for _ in range(count))))


async def slow_heads(target: Target, count: int = 1000) -> Counter[str]:
    """Send the headers a byte a second."""
    return await _slowly(target, b"GET / HTTP/1.1\r\n", b"X: " + b"x" * 99, count)


async def slow_bodies(target: Target, count: int = 1000) -> Counter[str]:
    """Send a note a byte a second, with a token."""
    start = head(
        target, "POST", "/api/products/1/notes", Authorization=f"Bearer {target.token}",
        Content_Type="application/json", Content_Length=1000,
    )  # fmt: skip
    return await _slowly(target, start, b"x" * 99, count)


async def slow_bodies_of_strangers(target: Target, count: int = 1000) -> Counter[str]:
    """Send a body a byte a second, without a token, to a call and to a page."""
    start = head(
        target, "POST", "/api/hotmart/webhook",
        Content_Type="application/json", Content_Length=1000,
    )  # fmt: skip
    return await _slowly(target, start, b"x" * 99, count)


async def slow_uploads(target: Target, count: int = 1000) -> Counter[str]:
    """Upload a picture a byte a second, with a token."""
    body = form(b"x" * 99, "image")
    start = head(
        target, "POST", "/api/products/1/images/upload", Authorization=f"Bearer {target.token}",
        Content_Type="multipart/form-data; boundary=x", Content_Length=1_000_000,
    )  # fmt: skip
    return await _slowly(target, start + body[:90], body[90:], count)


async def no_readers(target: Target, count: int = 1000) -> Counter[str]:
    """Ask for a large picture and don't read the answer."""

    async def ask() -> str:
        try:
            _reader, writer = await asyncio.open_connection("localhost", target.port, limit=1024)
        except OSError:
            return "no connection"
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(head(target, "GET", target.picture))
        await asyncio.sleep(40)
        writer.transport.abort()  # type: ignore[attr-defined]
        return "sent"

    return Counter(await asyncio.gather(*(ask() for _ in range(count))))


def _told(error: Exception) -> str:
    if isinstance(error, InvalidStatus):
        return str(error.response.status_code)
    if isinstance(error, ConnectionClosed):
        return f"closed {error.rcvd.code if error.rcvd else ''}".strip()
    return type(error).__name__


async def _flood(target: Target, *, reads: bool, seconds: float) -> str:
    try:
        socket, _session = await open_session(target)
    except (InvalidStatus, OSError, ConnectionClosed) as error:
        return _told(error)
    end, message = time.monotonic() + seconds, rerun()
    try:
        async with socket:
            if not reads:
                socket.transport.pause_reading()
            reader = asyncio.create_task(_read_all(socket)) if reads else None
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while time.monotonic() < end:
                        await socket.send(message)
                        await asyncio.sleep(0)  # or we never hear that it was ended
            if reader:
                reader.cancel()
            socket.transport.abort()
    except (OSError, ConnectionClosed) as error:
        return _told(error)
    return "taken slowly"


async def _read_all(socket: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            await socket.recv()


async def flood(target: Target, count: int = 5, seconds: float = 20) -> Counter[str]:
    """Ask for the page as fast as it goes on some websockets; come back when one is ended."""
    told: Counter[str] = Counter()
    end = time.monotonic() + seconds

    async def again_and_again() -> None:
        while (left := end - time.monotonic()) > 0:
            told[await _flood(target, reads=True, seconds=left)] += 1

    await asyncio.gather(*(again_and_again() for _ in range(count)))
    return told


async def flood_unread(target: Target, count: int = 50) -> Counter[str]:
    """Ask for the page as fast as it goes, and read nothing that comes back."""
    floods = (_flood(target, reads=False, seconds=20) for _ in range(count))
    return Counter(await asyncio.gather(*floods))


async def huge_messages(target: Target, count: int = 10, size: int = 150_000_000) -> Counter[str]:
    """Send a message of 150 MB on some websockets at once, in parts that are never the last."""

    async def talk() -> str:
        socket, _session = await open_session(target)

        async def parts() -> Iterator[bytes]:  # type: ignore[misc]
            for _number in range(size // 100_000):
                yield bytes(100_000)
            await asyncio.sleep(5)

        try:
            await socket.send(parts())  # type: ignore[arg-type]
            await socket.recv()
            while True:
                await socket.recv()
        except (OSError, ConnectionClosed) as error:
            return _told(error)

    return Counter(await asyncio.gather(*(talk() for _ in range(count))))


async def many_sockets(target: Target, count: int = 500) -> Counter[str]:
    """Open so many pages and leave them."""
    told: Counter[str] = Counter()
    opened = []
    for _number in range(count):
        try:
            opened.append((await open_session(target))[0])
            told["opened"] += 1
        except (InvalidStatus, OSError, ConnectionClosed) as error:
            told[_told(error)] += 1
    await asyncio.sleep(5)
    for socket in opened:
        socket.transport.abort()
    return told


async def wrong_tokens(target: Target, count: int = 2000) -> Counter[str]:
    """Guess tokens."""
    turns = asyncio.Semaphore(50)

    async def guess(number: int) -> str:
        async with turns:
            secret = f"Bearer capista_{number}"
            start = head(target, "GET", "/api/hotmart/status", Authorization=secret)
            return (await send(target, iter([start])))[0]

    return Counter(await asyncio.gather(*(guess(number) for number in range(count))))


_REFUSED = {f"{status} after < 32 MB" for status in (413, 200, 405)}
"""20 MB and what the system holds on the way. A page's route reads no body, so it answers as
ever; then the connection ends."""

Attack = Callable[[Target], Awaitable[Counter[str]]]
ATTACKS: list[tuple[str, Attack, set[str]]] = [
    ("200 uploads at once by the API", uploads_by_api, {"201", "429"}),
    ("60 uploads at once, each of 50 megapixels and 20 MB", largest_uploads, {"201", "429"}),
    ("200 uploads at once by a page", uploads_by_page, {"204", "429"}),
    ("1,000 × 19 MB by one page, never used", hoard, {"204", "429"}),
    ("19 MB each by 100 pages, never used", hoards_of_many, {"204", "429"}),
    ("2 GB to six routes, length said and unsaid", huge_bodies, _REFUSED),
    ("1,000 × headers, a byte a second", slow_heads, set()),
    ("1,000 × a call's body, a byte a second", slow_bodies, {"408", "429"}),
    ("1,000 × the same without a token", slow_bodies_of_strangers, {"401", "429"}),
    ("1,000 × an upload, a byte a second", slow_uploads, {"408", "429"}),
    ("1,000 readers of a picture that don't read", no_readers, set()),
    ("5 websockets that flood, again when ended", flood, set()),
    ("50 websockets that flood and don't read", flood_unread, set()),
    ("10 × a message of 150 MB without an end", huge_messages, {"closed 1009"}),
    ("500 pages opened and left", many_sockets, {"opened", "429"}),
    ("2,000 wrong tokens", wrong_tokens, {"401", "429"}),
]
"""What it is, how it is done, and the answers that are right; none where nothing is said."""


# What is measured meanwhile.


def _call(target: Target) -> None:
    connection = http.client.HTTPConnection("localhost", target.port, timeout=PATIENCE_S)
    try:
        headers = {"Authorization": f"Bearer {target.token}"}
        connection.request("GET", "/api/hotmart/status", headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise OSError(f"status {answer.status}")
    finally:
        connection.close()


def _page(target: Target) -> None:
    urllib.request.urlopen(f"http://localhost:{target.port}/", timeout=PATIENCE_S).read()


def _draw(target: Target) -> None:
    origin = f"http://localhost:{target.port}"
    with connect(
        target.socket_url,
        origin=origin,  # type: ignore[arg-type]
        subprotocols=["streamlit"],  # type: ignore[list-item]
        proxy=None,
        max_size=None,
        open_timeout=PATIENCE_S,
    ) as socket:
        socket.send(rerun())
        end = time.monotonic() + PATIENCE_S
        while True:
            raw = socket.recv(timeout=max(0.0, end - time.monotonic()))
            if ForwardMsg.FromString(raw).WhichOneof("type") == "script_finished":  # type: ignore[arg-type]
                return


VISITS: dict[str, Callable[[Target], None]] = {"call": _call, "page": _page, "rerun": _draw}


@contextmanager
def person(target: Target) -> Iterator[dict[str, Experience]]:
    """Let somebody work meanwhile; yield how they fare."""
    lived = {name: Experience() for name in VISITS}
    over = threading.Event()

    def work(name: str) -> None:
        while not over.wait(0.3):
            start = time.monotonic()
            try:
                VISITS[name](target)
                lived[name].times.append(time.monotonic() - start)
            except Exception as error:
                lived[name].failures.append(f"{name}: {_told(error)}")

    threads = [threading.Thread(target=work, args=[name], daemon=True) for name in VISITS]
    for thread in threads:
        thread.start()
    yield lived
    over.set()
    for thread in threads:
        thread.join(2 * PATIENCE_S)


def memory_mb(pid: int) -> float:
    """Return the resident memory of a process and of those that it started."""
    total, waiting = 0, [pid]
    while waiting:
        process = waiting.pop()
        with suppress(OSError):
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1])
            for task in Path(f"/proc/{process}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return total * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def memory_of(pid: int) -> Iterator[list[float]]:
    """Yield a list whose last number is the peak when the block has ended."""
    over, peak = threading.Event(), [memory_mb(pid)]

    def look() -> None:
        while not over.wait(0.05):
            peak[0] = max(peak[0], memory_mb(pid))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield peak
    over.set()
    thread.join()


@contextmanager
def usual_limits() -> Iterator[None]:
    """Give what is started here the open files of a usual machine, whatever this one has."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(USUAL_FILES, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def server(folder: Path) -> Iterator[tuple[Target, int]]:
    """Run a server with the sample offers; yield what an attacker knows, and the process."""
    port = sites.free_port()
    with usual_limits():
        process = sites.start(folder, port, HOTMART_HOTTOK="right")
    try:
        sites._wait_until_ready(process, f"http://localhost:{port}", folder)
        token = _new_token(folder)
        _api(port, token, "POST", "/hotmart/sync")
        end = time.monotonic() + 120
        while time.monotonic() < end and _covers_wait(port, token):
            time.sleep(0.5)
        body = form(jpeg(10**9), "image")
        image = _api(port, token, "POST", "/products/21/images/upload", body)
        yield Target(port, token, image["image_url"]), process.pid
    finally:
        sites.end(process)


def _new_token(folder: Path) -> str:
    command = [sys.executable, "-m", "core", "token", "create", "load", "--role", "editor"]
    settings = {"DATA_DIR": str(folder / "data"), "PYTHONPATH": str(sites.ROOT)}
    environment = {"PATH": os.environ["PATH"]} | settings
    words = subprocess.check_output(command, cwd=folder, env=environment, text=True).split()
    return next(word for word in words if word.startswith("capista_"))


def _api(port: int, token: str, method: str, path: str, body: bytes | None = None) -> dict:
    request = urllib.request.Request(f"http://localhost:{port}/api{path}", body, method=method)
    request.add_header("Authorization", f"Bearer {token}")
    request.add_header("Content-Type", "multipart/form-data; boundary=x")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def _covers_wait(port: int, token: str) -> bool:
    items = _api(port, token, "GET", "/products?page_size=100")["items"]
    return not items or any(item["image_url"] is None for item in items)


def _attack(attack: Attack, target: Target) -> Counter[str]:
    jpeg(0)
    return asyncio.run(attack(target))  # type: ignore[arg-type]


def measure(name: str, attack: Attack, right: set[str]) -> tuple[str, bool]:
    """Return the row of one attack, on a server of its own, and whether the limits held."""
    with (
        tempfile.TemporaryDirectory(prefix="capista-load-", ignore_cleanup_errors=True) as folder,
        server(Path(folder)) as (target, pid),
        ProcessPoolExecutor(1) as elsewhere,
    ):
        before = memory_mb(pid)
        with memory_of(pid) as peak, person(target) as lived:
            told = elsewhere.submit(partial(_attack, attack, target)).result()
            time.sleep(1)
        for kind, visit in VISITS.items():  # and afterwards all is as it was
            try:
                visit(target)
            except Exception as error:
                lived[kind].failures.append(f"{kind} afterwards: {_told(error)}")
    failures = Counter(failure for each in lived.values() for failure in each.failures)
    slow = [f"{kind} {each.p95():.2f} s" for kind, each in lived.items()]
    held = (
        peak[0] <= MOST_MEMORY_MB
        and not failures
        and all(each.p95() <= SLOWEST_P95_S for each in lived.values())
        and (not right or set(told) <= right)
    )
    cells = [
        name,
        f"{before:.0f} → {peak[0]:.0f} MB",
        ", ".join(slow),
        ", ".join(f"{count} × {failure}" for failure, count in failures.items()) or "none",
        ", ".join(f"{count} × {answer}" for answer, count in told.most_common()),
        "yes" if held else "**no**",
    ]
    return f"| {' | '.join(cells)} |", held


def main(wanted: list[str]) -> int:
    """Run the attacks, all or those named, and print the table."""
    columns = [
        "attack",
        "memory",
        "the others, p95",
        "their failures",
        "attackers are told",
        "held",
    ]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    kept = True
    for name, attack, right in ATTACKS:
        if wanted and attack.__name__ not in wanted:  # type: ignore[attr-defined]
            continue
        row, held = measure(name, attack, right)
        print(row, flush=True)
        kept &= held
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
