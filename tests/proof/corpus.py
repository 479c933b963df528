"""Sends a folder of hostile pictures to a real server through the three doors that pictures have.

``python -m tests.proof.corpus FOLDER`` uploads every file of ``FOLDER/manifest.csv`` on the screen
and by the API, has the image service answer with it, prints a table and every deviation, and ends
with 1 if there is one. The manifest says of each ``file`` its ``group`` and what is ``expected``:

``accept``  it becomes the offer's picture and is served with its right type, under a policy that
            lets nothing run. An upload is served as we encoded it: upright, without metadata. A
            painting is served byte for byte as it came, because its statement of how it was made
            (C2PA) must not be lost.
``reject``  a sentence says why; the history and the stored files stay as they are. A painting that
            is refused is paid for once and not asked for again.
``either``  one of the two, whole.
"""

import argparse
import csv
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import requests
from PIL import Image, ImageOps
from playwright.sync_api import Page, expect

from core import tokens
from core.access import COMMAND, Role
from core.database import migrate, open_engine, transaction
from tests import browser
from tests.builders import make_picture
from tests.e2e import sites
from tests.simulators.openai import OpenAISimulator

MOST_SECONDS = 5.0
MOST_MEMORY = 700 * 1024**2
_LIMIT_S = 60
_PAYLOADS = (b"<script", b"<?php", b"PK\x03\x04", b"alert(")
_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
}


@dataclass(frozen=True)
class Case:
    """A file and what its manifest says of it."""

    path: Path
    group: str
    expected: str

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()


@dataclass
class Answer:
    """What became of a file at one door."""

    taken: bool
    sentence: str = ""
    seconds: float = 0.0
    memory: int = 0
    deviations: list[str] = field(default_factory=list)


class Site:
    """A server under test, as another program calls it."""

    def __init__(self, url: str, secret: str, pictures: Path) -> None:
        self.url = url
        self._pictures = pictures
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {secret}"

    def call(self, method: str, path: str, **more: object) -> requests.Response:
        return self._session.request(method, self.url + path, timeout=_LIMIT_S * 2, **more)

    def new_offer(self) -> int:
        """Add an offer that has a picture."""
        id_ = self.call("POST", "/api/products", json={"name": "Offer"}).json()["id"]
        self.upload(id_, make_picture()).raise_for_status()
        return int(id_)

    def upload(self, offer: int, data: bytes, name: str = "picture") -> requests.Response:
        path = f"/api/products/{offer}/images/upload"
        return self.call("POST", path, files={"image": (name, data)})

    def history(self, offer: int) -> list[dict]:
        return self.call("GET", f"/api/products/{offer}/images/history").json()

    def files(self) -> set[str]:
        return {path.name for path in self._pictures.rglob("*") if path.is_file()}


class Memory:
    """Watches what a process and its children hold, decoders above all."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._ended = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def peak(self) -> int:
        """Return the most bytes since the last question."""
        peak, self._peak = max(self._peak, self._now()), 0
        return peak

    def _watch(self) -> None:
        while not self._ended.wait(0.01):
            self._peak = max(self._peak, self._now())

    def _now(self) -> int:
        children: set[int] = set()
        for task in Path(f"/proc/{self._pid}/task").glob("*/children"):
            with suppress(OSError):
                children.update(map(int, task.read_text().split()))
        return sum(map(_resident, {self._pid, *children}))


def _resident(pid: int) -> int:
    with suppress(OSError, IndexError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


# The doors: each hands a file over and tells what came of it.


def by_screen(site: Site, page: Page, offer: int, case: Case) -> Answer:
    page.goto(f"{site.url}/image_manager?product={offer}")
    field = page.locator("input[type=file]")
    expect(field).to_be_attached(timeout=_LIMIT_S * 1000)
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=_LIMIT_S * 1000
    )
    taken = page.get_by_text("The picture was replaced")
    refused = page.get_by_test_id("stMain").get_by_role("alert")
    started = time.monotonic()
    field.set_input_files(case.path)
    expect(taken.or_(refused).first).to_be_visible(timeout=_LIMIT_S * 1000)
    seconds = time.monotonic() - started
    if refused.count():
        return Answer(False, refused.first.inner_text(), seconds)
    return Answer(True, seconds=seconds)


def by_api(site: Site, offer: int, case: Case) -> Answer:
    started = time.monotonic()
    answer = site.upload(offer, case.data, case.path.name)
    seconds = time.monotonic() - started
    if answer.status_code == 201:
        return Answer(True, seconds=seconds)
    found = Answer(False, answer.json()["detail"], seconds)
    if answer.status_code not in (413, 415, 422):
        found.deviations.append(f"answered {answer.status_code}")
    return found


def by_painter(site: Site, openai: OpenAISimulator, offer: int, case: Case) -> Answer:
    asked = openai.asked
    openai.give(case.data)
    started = time.monotonic()
    path = f"/api/products/{offer}/images/generate"
    answer = site.call("POST", path, headers={"Prefer": f"wait={_LIMIT_S}"})
    seconds = time.monotonic() - started
    is_taken = answer.status_code == 201
    found = Answer(is_taken, "" if is_taken else answer.json()["error"] or "", seconds)
    if openai.asked != asked + 1:
        found.deviations.append(f"asked for {openai.asked - asked} times")
    return found


# What must hold whichever way a file came.


def check(site: Site, page: Page, case: Case, answer: Answer, offer: int, door: str) -> None:
    """Note in ``answer`` what is not as the manifest says."""
    wrong = answer.deviations.append
    if case.expected != "either" and answer.taken != (case.expected == "accept"):
        wrong(f"was {'taken' if answer.taken else 'refused: ' + answer.sentence}")
    rows = site.history(offer)
    if len(rows) != 1 + answer.taken:
        wrong(f"left {len(rows) - 1} new rows in the history")
    elif answer.taken:
        for problem in served_wrong(site, page, case, rows[0], is_painted=door == "painter"):
            wrong(problem)
    if not answer.taken and not answer.sentence.strip():
        wrong("was refused without a sentence")


def served_wrong(
    site: Site, page: Page, case: Case, row: dict, *, is_painted: bool
) -> Iterator[str]:
    """Tell what is wrong with the files that are served of an accepted picture."""
    source = case.data
    with Image.open(BytesIO(source)) as image:
        expected = upright_size(image)
    for kind in ("image_url", "thumbnail_url"):
        answer = site.call("GET", row[kind])
        with Image.open(BytesIO(answer.content)) as opened:
            opened.load()
            size = upright_size(opened) if is_painted else opened.size
        if answer.headers["Content-Type"] != _TYPES[opened.format or ""]:
            yield f"{kind}: {opened.format} served as {answer.headers['Content-Type']}"
        if answer.headers["X-Content-Type-Options"] != "nosniff":
            yield f"{kind}: no nosniff"
        if answer.headers["Content-Security-Policy"] != "default-src 'none'; sandbox":
            yield f"{kind}: policy {answer.headers['Content-Security-Policy']}"
        if kind == "thumbnail_url":
            if max(opened.size) > 400:
                yield f"{kind}: measures {opened.size}"
        elif not size == expected == (row["width"], row["height"]):
            yield f"{kind}: measures {size}, expected {expected}"
        if kind == "image_url" and is_painted:
            if answer.content != source:
                yield f"{kind}: not the bytes that were paid for"
        elif any(payload in source and payload in answer.content for payload in _PAYLOADS):
            yield f"{kind}: holds the payload"
        elif opened.getexif() or {"exif", "xmp", "comment", "icc_profile"} & set(opened.info):
            yield f"{kind}: holds metadata"
    if any(payload in source for payload in _PAYLOADS):
        yield from runs_as_script(site, page, row["image_url"])


def runs_as_script(site: Site, page: Page, address: str) -> Iterator[str]:
    """Tell whether a browser takes a picture for anything else."""
    page.goto(site.url + address)
    if not page.evaluate("document.contentType").startswith("image/"):
        yield f"a browser opens it as {page.evaluate('document.contentType')}"
    page.goto(f"{site.url}/notes")
    ran = page.evaluate(
        """address => new Promise(resolve => {
            const script = document.createElement("script");
            script.onload = () => resolve(true);
            script.onerror = () => resolve(false);
            script.src = address;
            document.head.append(script);
        })""",
        address,
    )
    if ran:
        yield "a browser runs it as a script"


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return how large a picture is where it is shown."""
    with suppress(Exception):  # broken EXIF raises whatever it likes, and turns nothing
        return ImageOps.exif_transpose(image).size
    return image.size


# The whole of it.


def read_manifest(folder: Path) -> list[Case]:
    """Return the files of a folder, as its ``manifest.csv`` lists them."""
    with (folder / "manifest.csv").open(newline="") as lines:
        return [
            Case(folder / row["file"], row["group"], row["expected"])
            for row in csv.DictReader(lines)
        ]


def prove(folder: Path) -> dict[Case, dict[str, Answer]]:
    """Send every file through the three doors; return what became of each."""
    results: dict[Case, dict[str, Answer]] = {}
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="capista-proof-")))
        (home / "data").mkdir()
        secret = _new_token(home / "data")
        openai = stack.enter_context(OpenAISimulator())
        settings = {
            "OPENAI_API_KEY": openai.key,
            "OPENAI_BASE_URL": openai.url,
            "IMAGES_PER_MINUTE": "0",
        }
        server = stack.enter_context(sites.started(home, **settings))
        site = Site(server.url, secret, home / "data" / "pictures")
        memory = Memory(server.pid)
        page = stack.enter_context(browser.launched()).new_page()
        stack.enter_context(memory.watched())
        doors: dict[str, Callable[[int, Case], Answer]] = {
            "screen": lambda offer, case: by_screen(site, page, offer, case),
            "api": lambda offer, case: by_api(site, offer, case),
            "painter": lambda offer, case: by_painter(site, openai, offer, case),
        }
        for case in read_manifest(folder):
            results[case] = {}
            for door, hand_over in doors.items():
                offer = site.new_offer()
                before = site.files()
                memory.peak()
                answer = hand_over(offer, case)
                answer.memory = memory.peak()
                if not answer.taken and site.files() != before:
                    answer.deviations.append("was refused, and left files")
                check(site, page, case, answer, offer, door)
                results[case][door] = answer
            print(f"  {case.group}/{case.path.name}", file=sys.stderr, flush=True)
    return results


def _new_token(data: Path) -> str:
    engine = open_engine(f"sqlite:///{data / 'dashboard.db'}")
    migrate(engine)
    with transaction(engine) as session:
        _token, secret = tokens.create_token(
            session, name="proof", role=Role.EDITOR, by=COMMAND, now=datetime.now(UTC)
        )
    engine.dispose()
    return secret


def table(results: dict[Case, dict[str, Answer]]) -> list[str]:
    """Return the lines of a Markdown table, one for each kind of file."""
    lines = [
        "| kind of file | files | accept, reject, either | screen | API | painter | slowest"
        " | most memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for group in [*sorted({case.group for case in results}), "all"]:
        cases = [case for case in results if group in (case.group, "all")]
        answers = [answer for case in cases for answer in results[case].values()]
        expected = [
            str(sum(case.expected == word for case in cases))
            for word in ("accept", "reject", "either")
        ]
        right = [
            f"{sum(not results[case][door].deviations for case in cases)}"
            for door in ("screen", "api", "painter")
        ]
        lines.append(
            f"| {group} | {len(cases)} | {', '.join(expected)} | {' | '.join(right)}"
            f" | {max(answer.seconds for answer in answers):.1f} s"
            f" | {max(answer.memory for answer in answers) / 1024**2:.0f} MB |"
        )
    return lines


def beyond_limits(answer: Answer) -> Iterator[str]:
    """Tell of which there was too much."""
    if answer.seconds > MOST_SECONDS:
        yield f"took {answer.seconds:.1f} s"
    if answer.memory > MOST_MEMORY:
        yield f"took {answer.memory / 1024**2:.0f} MB"


def main() -> None:
    """Print the table and the deviations."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.corpus")
    parser.add_argument("folder", type=Path, help="holds manifest.csv and the files it lists")
    results = prove(parser.parse_args().folder)
    print("\n".join(table(results)))
    deviations = [
        f"- {case.group}/{case.path.name}, {door}: {deviation}"
        for case, answers in results.items()
        for door, answer in answers.items()
        for deviation in (*answer.deviations, *beyond_limits(answer))
    ]
    print("\n" + ("\n".join(deviations) or "Every file as its manifest says."))
    sys.exit(bool(deviations))


if __name__ == "__main__":
    main()
