"""Kill a busy server again and again, with ``kill -9`` at random moments; see that nothing is lost.

``python -m tests.proof.soak --kills 500`` prints a table and ends with 1 if anything was lost, left
undone or paid for twice. People upload, write notes, go back to earlier pictures, order covers and
sync meanwhile; now and then a sync command runs beside the server and is killed too.
"""

import argparse
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from PIL import Image
from sqlmodel import select

from core import covers, sync, tokens
from core.access import COMMAND, Role
from core.app import App
from core.database import reading, transaction
from core.ledger import CallState
from core.models import ACTIVE_STATES, CoverJob, PaidCall, ProductImage, ProductNote
from core.verify import verify
from tests.builders import make_picture
from tests.e2e import sites
from tests.proof.deeds import Findings, open_app
from tests.simulators.hotmart import CLIENT_ID, CLIENT_SECRET, HotmartSimulator
from tests.simulators.openai import OpenAISimulator
from tests.waiting import wait_for

_PEOPLE = 3
_LONGEST_START_S, _LONGEST_WORK_S = 3.0, 4.0
"""A server dies within this time of its start, or of being up."""
_DIES_AT_START = 0.2
_COVERS_AT_ONCE = 4
_IDLE_LIMIT_S = 240.0


@dataclass
class Book:
    """What people were told is done."""

    notes: dict[int, str] = field(default_factory=dict)
    uploads: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """The colour of each picture, by the number of its history row."""
    reverts: set[int] = field(default_factory=set)
    orders: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Toll:
    """What the kills cut off."""

    kills: int = 0
    before_it_was_up: int = 0
    commands: int = 0

    @property
    def most_cut_off(self) -> int:
        """How many pictures can have been under way at the kills."""
        return (self.kills + self.commands) * _COVERS_AT_ONCE


class Person(threading.Thread):
    """Does one thing after the other until the server is gone."""

    def __init__(self, url: str, token: str, book: Book, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self._api = f"{url}/api"
        self._book = book
        self._chance = chance
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"
        self.finished = threading.Event()

    def run(self) -> None:
        """Work until nobody answers any more."""
        deeds = [self._write, self._upload, self._upload, self._go_back, self._order, self._sync]
        with suppress(requests.RequestException):
            while not self.finished.is_set():
                self._chance.choice(deeds)()

    def _call(self, method: str, path: str, **given: Any) -> Any:
        answer = self._session.request(method, self._api + path, timeout=30, **given)
        with self._book.lock:
            self._book.answers[f"{method} {path.rstrip('0123456789').split('/')[-1]} "
                               f"{answer.status_code}"] += 1  # fmt: skip
        return answer.json() if answer.status_code in (200, 201, 202) else None

    def _product(self) -> int:
        listed = self._call("GET", "/products?page_size=100")
        if not listed or not listed["items"]:
            self._sync()
            time.sleep(0.2)
            raise requests.ConnectionError("nothing to work on yet")
        return int(self._chance.choice(listed["items"])["id"])

    def _write(self) -> None:
        text = f"note {self._chance.random()}"
        if told := self._call("POST", f"/products/{self._product()}/notes", json={"note": text}):
            self._book.notes[told["id"]] = text

    def _upload(self) -> None:
        red, green, blue = (self._chance.randrange(256) for _colour in range(3))
        data = make_picture(f"#{red:02x}{green:02x}{blue:02x}")
        path = f"/products/{self._product()}/images/upload"
        if told := self._call("POST", path, files={"image": ("x.png", data)}):
            self._book.uploads[told["id"]] = (red, green, blue)

    def _go_back(self) -> None:
        product = self._product()
        history = self._call("GET", f"/products/{product}/images/history")
        if history:
            earlier = self._chance.choice(history)["id"]
            if told := self._call("POST", f"/products/{product}/images/{earlier}/revert"):
                self._book.reverts.add(told["id"])

    def _order(self) -> None:
        if self._chance.random() < 0.5:
            return  # covers take longer than the rest
        words = {"customPrompt": f"picture {self._chance.random()}"}
        if told := self._call("POST", f"/products/{self._product()}/images/generate", json=words):
            self._book.orders.add(told["job_id"])

    def _sync(self) -> None:
        self._call("POST", "/hotmart/sync")


class Soak:
    """One folder, its two services, and the people who use it."""

    def __init__(self, folder: Path, hotmart: HotmartSimulator, openai: OpenAISimulator) -> None:
        self.folder = folder
        self.hotmart = hotmart
        self.openai = openai
        self.chance = random.Random(7)
        self.book = Book()
        self.toll = Toll()
        self._settings: dict[str, Any] = {
            "openai_api_key": openai.key,
            "openai_base_url": openai.url,
            "images_per_minute": 0,
            "hotmart_client_id": CLIENT_ID,
            "hotmart_client_secret": CLIENT_SECRET,
            "hotmart_api_url": hotmart.url,
            "hotmart_auth_url": hotmart.url,
            "hotmart_sales_months": 1,
        }
        app = self.open()
        with transaction(app.engine) as session:
            _row, self._token = tokens.create_token(
                session, name="soak", role=Role.EDITOR, by=COMMAND, now=datetime.now(UTC)
            )
        app.engine.dispose()

    def open(self) -> App:
        """Open the folder in this process."""
        return open_app(self.folder, **self._settings)

    @property
    def environment(self) -> dict[str, str]:
        """The settings as a server and a command get them."""
        return {name.upper(): str(value) for name, value in self._settings.items()}

    def live_and_die(self) -> None:
        """Start a server, have people use it, and kill it at a random moment."""
        port = sites.free_port()
        server = sites.start(self.folder, port, **self.environment)
        command = self._command() if self.chance.random() < 0.2 else None
        dies_at = float("inf")
        if self.chance.random() < _DIES_AT_START:
            dies_at = time.monotonic() + self.chance.uniform(0.1, _LONGEST_START_S)
        url = f"http://localhost:{port}"
        people = [
            Person(url, self._token, self.book, random.Random(self.chance.random()))
            for _person in range(_PEOPLE)
        ]
        is_up = False
        while time.monotonic() < dies_at and server.poll() is None:
            if not is_up and (is_up := sites.answers(url)):
                dies_at = time.monotonic() + self.chance.uniform(0.0, _LONGEST_WORK_S)
                if self.chance.random() < 0.3:
                    self.hotmart.add_product(price=self.chance.randrange(10, 99))
                for person in people:
                    person.start()
            time.sleep(0.01)
        if server.poll() is not None:
            raise RuntimeError(f"The server ended by itself:\n{sites.log_of(self.folder)[-3000:]}")
        server.kill()
        server.wait()
        if command:
            command.kill()
            command.wait()
            self.toll.commands += 1
        self.toll.kills += 1
        self.toll.before_it_was_up += not is_up
        for person in people:
            person.finished.set()
            if person.ident:
                person.join(40)

    def _command(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "core", "sync"],
            cwd=sites.ROOT,
            env=os.environ | self.environment | {"DATA_DIR": str(self.folder / "data")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def settle(self) -> None:
        """Let a last server do what is left."""
        with sites.running(self.folder, **self.environment):
            app = self.open()

            def is_idle() -> bool:
                with reading(app.engine) as session:
                    return not sync.running_run(session) and not covers.count_jobs(session)

            try:
                wait_for(is_idle, _IDLE_LIMIT_S)
            finally:
                app.engine.dispose()

    def judge(self) -> Findings:
        """Return what is lost, wrong or paid for twice."""
        app = self.open()
        try:
            return [*self._lost(app), *self._overpaid(app)]
        finally:
            app.engine.dispose()

    def _lost(self, app: App) -> Findings:
        found = [f"lost: {line}" for line in verify(app.engine, app.store).lost]
        with app.engine.connect() as connection:
            for pragma, fine in (("integrity_check", [("ok",)]), ("foreign_key_check", [])):
                rows = [tuple(row) for row in connection.exec_driver_sql(f"PRAGMA {pragma}")]
                found += [f"{pragma}: {rows}"] if rows != fine else []
        with reading(app.engine) as session:
            notes = {note.id: note.note for note in session.exec(select(ProductNote))}
            images = {image.id: image for image in session.exec(select(ProductImage))}
            jobs = {job.id: job for job in session.exec(select(CoverJob))}
        found += [
            f"note {n} is lost" for n, text in self.book.notes.items() if notes.get(n) != text
        ]
        found += [f"revert {n} is lost" for n in self.book.reverts - set(images)]
        found += [f"order {n} is lost" for n in self.book.orders - set(jobs)]
        found += [f"order {job.id} never ended" for job in jobs.values()
                  if job.state in ACTIVE_STATES]  # fmt: skip
        for number, colour in self.book.uploads.items():
            if number not in images:
                found.append(f"upload {number} is lost")
                continue
            data = app.store.read(images[number].image_url.rpartition("/")[2])
            with Image.open(BytesIO(data)) as picture:
                if picture.convert("RGB").getpixel((5, 5)) != colour:
                    found.append(f"upload {number} shows another picture")
        return found

    def _overpaid(self, app: App) -> Findings:
        with reading(app.engine) as session:
            calls = session.exec(select(PaidCall)).all()
        states = Counter(call.state for call in calls)
        charged = Counter(call.job_id for call in calls if call.state == CallState.CHARGED)
        found = [f"order {job} was charged {n} times" for job, n in charged.items() if n > 1]
        most = states[CallState.CHARGED] + states[CallState.UNKNOWN]
        if not states[CallState.CHARGED] <= self.openai.bill <= most:
            found.append(f"{self.openai.bill} billed, but the ledger says {dict(states)}")
        if states[CallState.ASKED]:
            found.append(f"{states[CallState.ASKED]} calls are still under way")
        if states[CallState.UNKNOWN] > self.toll.most_cut_off:
            found.append(f"{states[CallState.UNKNOWN]} calls unknown after so few kills")
        return found

    def table(self, findings: Findings) -> str:
        """Return what happened, as Markdown."""
        app = self.open()
        with reading(app.engine) as session:
            calls = Counter(call.state for call in session.exec(select(PaidCall)))
            orders = Counter(job.state for job in session.exec(select(CoverJob)))
        app.engine.dispose()
        book, toll = self.book, self.toll
        rows = {
            "`kill -9` of the server": f"{toll.kills}, {toll.before_it_was_up} of them before it"
            " was up",
            "sync commands killed beside it": toll.commands,
            "people were told that it is done": f"{len(book.uploads)} uploads, {len(book.notes)}"
            f" notes, {len(book.reverts)} reverts, {len(book.orders)} orders for covers",
            "cover orders in the end": ", ".join(f"{n} {state}" for state, n in orders.items()),
            "the service's bill": f"{self.openai.bill} pictures",
            "the ledger": ", ".join(f"{n} {state}" for state, n in calls.items()),
            "**lost, wrong, undone or paid twice**": f"**{len(findings)}**",
        }
        lines = [f"| {name} | {value} |" for name, value in rows.items()]
        return "\n".join(["| what | how many |", "|---|---|", *lines])


def run(folder: Path, kills: int) -> tuple[str, Findings]:
    """Soak a new folder; return the table and what is wrong."""
    with HotmartSimulator() as hotmart, OpenAISimulator(0.3) as openai:
        hotmart.seed_catalogue(products=12)
        soak = Soak(folder, hotmart, openai)
        for number in range(kills):
            soak.live_and_die()
            if sys.stderr.isatty() or (number + 1) % 25 == 0:
                print(f"{number + 1} kills", file=sys.stderr, flush=True)
        soak.settle()
        findings = soak.judge()
        return soak.table(findings), findings


def main() -> None:
    """Soak, and print what came of it."""
    parser = argparse.ArgumentParser(description="Kills a busy server at random moments.")
    parser.add_argument("--kills", type=int, default=500)
    given = parser.parse_args()
    with TemporaryDirectory(prefix="capista-soak-") as folder:
        table, findings = run(Path(folder), given.kills)
    print(table)
    print("\n".join(findings))
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
