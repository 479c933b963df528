"""Every fault of both services, as a marketer meets it: ``python -m tests.proof.faults``.

A real App on a folder of its own, with its jobs running, meets each fault that the simulators know.
Prints ``docs/faults.md``; ends with 1 and says so when a fault ends badly. Waits are not slept
through but added up.
"""

import base64
import io
import logging
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from sqlmodel import col, select

from core import covers, ledger, sync
from core.access import Actor, Role
from core.app import App, create_app
from core.clients.hotmart import HotmartClient, connection
from core.clients.openai_images import OpenAIImagesPainter
from core.database import reading, transaction
from core.models import CoverJob, JobState, PaidCall, Product, ProductOffer, SyncRun
from core.products import count_without_picture
from core.settings import Settings, read_settings
from core.sync import Trigger
from tests.builders import make_product
from tests.simulators import hotmart as hotmart_simulator
from tests.simulators.hotmart import BASIC, CLIENT_ID, CLIENT_SECRET, HotmartSimulator
from tests.simulators.openai import FAULTS, OpenAISimulator

ANA = Actor("Ana", Role.EDITOR)
BUYER = "ana@example.com"  # whom the simulated sales name
HOTTOK = "hottok-9f8e7d6c5b4a"
TIMEOUT_S = 1.0
LONGEST_S = 30.0
"""An order or a sync that has not ended by then waits without a bound."""
RUNS = {
    "invalid_api_key": 500,
    "credit_balance_exhausted": 40,
    "unverified": 40,
    "region": 40,
    "model_not_found": 40,
    "key_permission": 40,
}
"""What a whole run of covers meets, and of how many."""
PATHS = {
    "token": "/security",
    "products": "/products/api/v1/products",
    "prices": "/products/api/v1/products/",
    "sales": "/payments/api/v1/sales/history",
}

_NEXT_STEP = re.compile(
    r"\b(add|change|check|choose|copy|create|give|look at|look for|make|press|raise|reword|report"
    r"|set|try|upload|verify|wait)\b",
    re.IGNORECASE,
)


class Clock:
    """Time that passes at once when somebody waits, and is added up."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._by_thread: dict[int, float] = {}
        self._passed = 0.0

    def sleep(self, seconds: float) -> None:
        name = threading.get_ident()
        self._by_thread[name] = self._by_thread.get(name, 0.0) + seconds
        self._passed += seconds

    def monotonic(self) -> float:
        return time.monotonic() + self._passed

    @property
    def waited(self) -> float:
        """How long the one that waited longest would have waited."""
        return max(self._by_thread.values(), default=0.0)


class Findings:
    """What is wrong; empty is what we want."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def check(self, fault: str, is_right: object, otherwise: str) -> None:
        if not is_right:
            self.found.append(f"{fault}: {otherwise}")

    def check_sentence(self, fault: str, sentence: str | None) -> None:
        self.check(fault, sentence, "no sentence")
        words = sentence or ""
        self.check(fault, "Something unexpected" not in words, "an error that nobody foresaw")
        self.check(fault, _NEXT_STEP.search(words), f"no next step in: {words}")


@contextmanager
def running(folder: Path, clock: Clock, **settings: Any) -> Iterator[App]:
    """An App whose jobs run, and which waits in ``clock``'s time."""
    app = create_app(read_settings(data_dir=folder, images_per_minute=0, **settings))
    if isinstance(app.painter, OpenAIImagesPainter):
        painter = OpenAIImagesPainter(
            settings["openai_api_key"],
            app.settings.openai_base_url,
            app.settings.image_model,
            app.settings.image_quality,
            "816x816",
            timeout=TIMEOUT_S,
            sleep=clock.sleep,
        )
        app.jobs.painter = painter
    if isinstance(app.catalogue, HotmartClient):
        app.catalogue._connection._sleep = clock.sleep
        app.catalogue._connection._timeout = (TIMEOUT_S, TIMEOUT_S)
    app.jobs.launch()
    try:
        yield app
    finally:
        app.jobs.close()
        app.engine.dispose()


def ended(look: Callable[[], bool], longest: float = LONGEST_S) -> bool:
    deadline = time.monotonic() + longest
    while time.monotonic() < deadline:
        if look():
            return True
        time.sleep(0.02)
    return False


def cover(app: App, product_id: int) -> CoverJob:
    """Order a cover, and return the order as it ended."""
    order = app.jobs.order_cover(product_id, prompt=None, by=ANA)
    read = lambda: read_order(app, order.id)  # noqa: E731
    ended(lambda: read().finished_at is not None)
    return read()


def read_order(app: App, job_id: str) -> CoverJob:
    with reading(app.engine) as session:
        return covers.get_job(session, job_id)


def add_products(app: App, count: int) -> list[int]:
    with transaction(app.engine) as session:
        session.add_all(products := [make_product() for _ in range(count)])
    return [product.id or 0 for product in products]


def image_faults(folder: Path, findings: Findings) -> Iterator[str]:
    """One row for each fault of the image service."""
    clock = Clock()
    with OpenAISimulator() as service:
        service.slow_seconds = 3 * TIMEOUT_S
        with running(folder, clock, openai_api_key=service.key, openai_base_url=service.url) as app:
            product_ids = iter(add_products(app, len(FAULTS)))
            for fault in FAULTS:
                yield _image_row(app, service, clock, findings, fault, next(product_ids))


def _image_row(
    app: App,
    service: OpenAISimulator,
    clock: Clock,
    findings: Findings,
    fault: str,
    product_id: int,
) -> str:
    service.reset()
    clock.reset()
    service.fail(fault, None)
    order = cover(app, product_id)
    asked, bill, waited = service.asked, service.bill, clock.waited
    with reading(app.engine) as session:
        query = select(PaidCall).where(PaidCall.job_id == order.id)
        calls = list(session.exec(query))
    charged = sum(call.state == "charged" for call in calls)
    unknown = sum(call.state == "unknown" for call in calls)
    state = "charged" if charged else "maybe billed" if unknown else "free"

    findings.check(fault, order.finished_at, "the order waits without a bound")
    findings.check(fault, charged <= bill <= charged + unknown, f"{bill} billed, ledger {state}")
    mended = "–"
    if order.state == JobState.SUCCEEDED:
        sentence = "(none: the picture is taken)"
    else:
        sentence = order.error or ""
        findings.check_sentence(fault, order.error)
        service.heal()
        again = cover(app, product_id)
        mended = "the cover is made" if again.state == JobState.SUCCEEDED else "fails again"
        findings.check(fault, again.state == JobState.SUCCEEDED, "Try again does not work")
    sentence = sentence.replace(service.root.removeprefix("http://"), "the service")
    waits = f"{waited:.0f} s" if waited else "none"
    return row(fault, sentence, order.state, asked, waits, f"{state} / {bill}", mended)


def hotmart_faults(folder: Path, findings: Findings) -> Iterator[str]:
    """One row for each fault of Hotmart, at each of its addresses; equal ends share one."""
    clock = Clock()
    connection.time = clock  # type: ignore[assignment]
    connection.LONGEST_ANSWER = TIMEOUT_S / 2
    with HotmartSimulator() as service:
        service.seed_catalogue(products=6)
        for _ in range(6):
            service.add_sale()
        service.variant("echo", True)
        to_hotmart = {
            "hotmart_client_id": CLIENT_ID,
            "hotmart_client_secret": CLIENT_SECRET,
            "hotmart_basic": BASIC,
            "hotmart_hottok": HOTTOK,
            "hotmart_api_url": service.url,
            "hotmart_auth_url": service.url,
            "hotmart_sales_months": 2,
        }
        with running(folder, clock, covers_per_sync=0, **to_hotmart) as app:
            findings.check("the first sync", sync_now(app).state == "succeeded", "failed")
            for fault in hotmart_simulator.FAULTS:
                rows: dict[tuple[str, ...], list[str]] = {}
                for place, path in PATHS.items():
                    cells = _sync_cells(app, service, clock, findings, fault, place, path)
                    rows.setdefault(cells, []).append(place)
                for cells, places in rows.items():
                    yield row(fault, ", ".join(places), *cells)


def _sync_cells(
    app: App,
    service: HotmartSimulator,
    clock: Clock,
    findings: Findings,
    fault: str,
    place: str,
    path: str,
) -> tuple[str, ...]:
    name = f"Hotmart {fault} at {place}"
    before = offers(app)
    clock.reset()
    assert isinstance(app.catalogue, HotmartClient)
    app.catalogue._connection._quiet_until = 0.0
    service.expire_tokens()
    seconds = 30.0 if fault in ("429", "429-retry-after", "spent") else 2 * TIMEOUT_S
    service.fail(path, fault, None, seconds=0.0 if fault in hotmart_simulator.REFUSALS else seconds)
    run = sync_now(app)
    waited = clock.waited
    after = offers(app)
    findings.check(name, run.finished_at, "the sync waits without a bound")
    findings.check(name, before == after, "offers were archived, lost or changed")
    sentence = run.error or "(none: the sync goes through)"
    if run.state != JobState.SUCCEEDED:
        findings.check_sentence(name, run.error)
    with service._lock:
        service._faults.clear()
    app.catalogue._connection._quiet_until = 0.0
    again = sync_now(app)
    findings.check(name, again.state == JobState.SUCCEEDED, "the next sync does not work")
    findings.check(name, offers(app) == before, "the next sync changed the offers")
    waits = f"{waited:.0f} s" if waited else "none"
    unchanged = "yes" if before == after else "NO"
    return (sentence, run.state, waits, unchanged, "works" if again.error is None else "fails")


def sync_now(app: App) -> SyncRun:
    run = app.jobs.start_sync(Trigger.BUTTON, by=ANA)

    def read() -> SyncRun:
        with reading(app.engine) as session:
            return sync.get_run(session, run.id or 0)

    ended(lambda: read().finished_at is not None)
    return read()


def offers(app: App) -> list[tuple[Any, ...]]:
    with reading(app.engine) as session:
        products = session.exec(select(Product).order_by(col(Product.id))).all()
        prices = session.exec(select(ProductOffer).order_by(ProductOffer.code)).all()
        return [
            *((offer.id, offer.name, offer.price, offer.archived_at) for offer in products),
            *((price.product_id, price.code, price.price, price.is_main) for price in prices),
        ]


def runs_of_many(folder: Path, findings: Findings) -> Iterator[str]:
    """One row for each fault that concerns the account, met by a run of many covers."""
    for fault, count in RUNS.items():
        with OpenAISimulator() as service:
            key = {"openai_api_key": service.key, "openai_base_url": service.url}
            with running(folder / fault, Clock(), **key) as app:
                yield _run_row(app, service, findings, fault, count)


def _run_row(app: App, service: OpenAISimulator, findings: Findings, fault: str, count: int) -> str:
    name = f"{count} covers, {fault}"
    add_products(app, count)
    service.fail(fault, None)
    app.jobs.order_missing_covers(by=ANA)
    findings.check(name, ended(lambda: is_idle(app)), "the run does not end")
    asked = service.asked
    with reading(app.engine) as session:
        sentences = {why or "" for why in session.exec(select(CoverJob.error))}
        on_the_page = ledger.account_trouble(session)
    for sentence in sentences:
        findings.check_sentence(name, sentence)
    findings.check_sentence(f"{name}, on the page", on_the_page)
    findings.check(name, asked <= 10, f"{asked} calls were sent for one bad account")
    service.heal()
    again = app.jobs.order_missing_covers(by=ANA)
    findings.check(name, ended(lambda: is_idle(app), 300), "going on does not end")
    with reading(app.engine) as session:
        left = count_without_picture(session)
    findings.check(name, again == count and not left, "some offers are not taken up")
    findings.check(name, service.bill == count, f"{service.bill} were billed")
    stopped = max(sentences, key=len).replace(service.root.removeprefix("http://"), "the service")
    return row(fault, count, asked, stopped, again, left)


def is_idle(app: App) -> bool:
    with reading(app.engine) as session:
        return not covers.count_jobs(session)


def secrets_in(text: bytes) -> list[str]:
    """Return which planted secrets are in a text, in whatever spelling."""
    planted = {
        "the image service's key": OpenAISimulator().key,
        "Hotmart's secret": CLIENT_SECRET,
        "Hotmart's basic": BASIC,
        "an access token": "sim-token",
        "the hottok": HOTTOK,
        "a buyer": BUYER,
    }
    return [
        name
        for name, secret in planted.items()
        if any(
            spelling.encode() in text
            for spelling in (
                secret,
                quote_plus(secret),
                base64.b64encode(secret.encode()).decode(),
            )
        )
    ]


def row(*cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def table(*names: str) -> None:
    print(row(*names), "|" + "---|" * len(names), sep="\n")


def main() -> int:
    for name in Settings.model_fields:  # what whoever runs this has set is not meant
        os.environ.pop(name.upper(), None)
    Settings.model_config["env_file"] = None
    log = io.StringIO()
    logging.basicConfig(stream=log, level=logging.DEBUG, force=True)
    logging.getLogger("dbos").addHandler(logging.StreamHandler(log))  # it keeps to itself
    findings = Findings()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(HEAD)
        print("## The image service\n")
        table(
            "fault",
            "what the marketer reads",
            "the order",
            "asked",
            "waits between",
            "ledger / bill",
            "Try again",
        )
        for line in image_faults(folder / "images", findings):
            print(line, flush=True)
        print("\n## A run of covers whose account is refused\n")
        table(
            "fault",
            "covers",
            "calls sent",
            "what the marketer reads",
            "ordered when mended",
            "left",
        )
        for line in runs_of_many(folder, findings):
            print(line, flush=True)
        print("\n## Hotmart\n")
        table(
            "fault",
            "at",
            "what the marketer reads",
            "the sync",
            "waits between",
            "offers unchanged",
            "next sync",
        )
        for line in hotmart_faults(folder / "hotmart", findings):
            print(line, flush=True)
        files = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for where, text in (("the log", log.getvalue().encode()), ("a file", files)):
        for secret in secrets_in(text):
            findings.check(secret, False, f"is in {where}")
    print(
        f"\n{len(log.getvalue())} characters of log and {len(files)} bytes of files were searched"
        " for the planted secrets.\n"
    )
    for finding in findings.found:
        print(f"- WRONG: {finding}")
    print(f"{len(findings.found)} things wrong.")
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    return 1 if findings.found else 0


HEAD = """# What happens when a service fails

Made by `.venv/bin/python -m tests.proof.faults > docs/faults.md`. It ends with 1 when a fault ends
without a sentence, with one that names no next step, with no end at all, with a bill larger than
the ledger says, with offers archived, lost or changed, or with a planted secret in the log, the
databases or any file.

*Waits between* is what Capista would have waited between its tries. It asks up to five times, and
waits 120 s for one of them at most. One answer may take 300 s to begin and 300 s to end at the
image service; at Hotmart 60 s to begin, and 120 s in all. While Capista waits between two tries,
card and sidebar say so and count down. A question about sales that takes Hotmart too long is asked
again in halves, down to a day, before Capista gives up.

Where one of Hotmart's two lists comes back empty, nothing is put away if five offers or more were
on it. Of fewer, Capista believes it; they come back, with all they had, when they are listed again.

*Ledger / bill* is what Capista has written down of the call, and how many pictures were billed.
"""

if __name__ == "__main__":
    sys.exit(main())
