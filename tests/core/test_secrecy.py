"""No secret may reach a log, an error, a database or a page: planted, used, and looked for."""

import base64
import logging
from urllib.parse import quote_plus

import pytest
from sqlmodel import select

from core import covers, sync
from core.database import reading, transaction
from core.models import CoverJob, JobState, Product, SyncRun
from core.sync import Trigger
from tests.builders import ANA, make_product
from tests.simulators.hotmart import BASIC, CLIENT_ID, CLIENT_SECRET
from tests.waiting import wait_for

HOTTOK = "hottok-9f8e7d6c5b4a"
CHATTY = ("", "dbos", "openai", "httpx", "httpx2", "httpcore", "urllib3", "requests", "sqlalchemy")


@pytest.fixture
def everything_logged(caplog):
    """Captures every logger at its most talkative, those that keep to themselves too."""
    before = {name: logging.getLogger(name).level for name in CHATTY}
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger("dbos").addHandler(caplog.handler)
    yield caplog
    logging.getLogger("dbos").removeHandler(caplog.handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def spellings(secret):
    """A secret, and what it looks like in addresses and headers."""
    return {secret, quote_plus(secret), base64.b64encode(secret.encode()).decode()}


def test_no_secret_is_written_anywhere(
    running_app, hotmart, openai, to_hotmart, to_openai, everything_logged, capfd, tmp_path
):
    hotmart.add_product(name="Sourdough", price=97)
    hotmart.variant("echo", True)  # a refused token request is told what it sent
    secrets = {openai.key, CLIENT_SECRET, BASIC, HOTTOK, "sim-token"}
    app = running_app(
        **to_hotmart, **to_openai, hotmart_basic=BASIC, hotmart_hottok=HOTTOK, covers_per_sync=0
    )
    logging.getLogger("dbos").setLevel(logging.DEBUG)  # a launch makes it quieter

    def sync_now():
        app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        wait_for(lambda: not running(app))

    def cover_now(prompt):
        job = app.jobs.order_cover(product.id, prompt=prompt, by=ANA)
        wait_for(lambda: ended(app, job))

    with transaction(app.engine) as session:
        session.add(product := make_product())
    hotmart.fail("/security", "401")
    sync_now()
    sync_now()
    for fault in ("invalid_api_key", "key_echo", "drop"):
        openai.fail(fault)
        cover_now(fault)
    cover_now("a red guitar")

    with reading(app.engine) as session:
        runs, jobs = session.exec(select(SyncRun)).all(), session.exec(select(CoverJob)).all()
        offers = session.exec(select(Product)).all()
    assert [run.state for run in runs] == [JobState.FAILED, JobState.SUCCEEDED]
    assert sorted(job.state for job in jobs) == ["failed"] * 3 + ["succeeded"]
    written = "\n".join(
        [
            everything_logged.text,
            *capfd.readouterr(),
            repr(app),
            repr(app.settings),
            *(repr(row) for row in (*runs, *jobs, *offers)),
        ]
    )
    app.jobs.close()
    app.engine.dispose()
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "127.0.0.1" in everything_logged.text  # the loggers did talk
    for secret in secrets:
        for spelling in spellings(secret):
            assert spelling not in written
            assert spelling.encode() not in files
    assert CLIENT_ID.encode() not in files


def running(app):
    with reading(app.engine) as session:
        return sync.running_run(session)


def ended(app, job):
    with reading(app.engine) as session:
        return covers.get_job(session, job.id).finished_at
