"""Clocks that jump, and machines that live in other time zones."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from core import images, ledger, notes, orphans
from core.access import UPKEEP
from core.database import reading, transaction
from core.errors import BudgetReachedError, ConflictError
from core.models import Product
from core.settings import read_settings
from tests.builders import ANA, NOW, make_call, make_picture, make_product

YESTERDAY = NOW - timedelta(days=1)


@pytest.fixture
def product_id(engine):
    with transaction(engine) as session:
        session.add(product := make_product())
    return product.id


class TestAClockThatJumpsBack:
    @pytest.fixture
    def upload(self, engine, store, product_id):
        def upload(colour, now):
            return images.replace_image(
                engine, store, product_id, data=make_picture(colour), by=ANA, now=now
            )

        return upload

    def test_leaves_the_newest_picture_the_current_one(self, engine, upload, product_id):
        first, second = upload("red", NOW), upload("blue", YESTERDAY)

        with reading(engine) as session:
            history = images.history(session, product_id)
            assert [image.id for image in history] == [second.id, first.id]
            assert session.get_one(Product, product_id).current_image_id == second.id

    def test_spends_no_more_than_the_budget(self, engine):
        settings = read_settings(openai_api_key="key", monthly_budget_usd=Decimal("1"))
        with transaction(engine) as session:
            session.add(make_call(cost_usd=Decimal("0.99"), asked_at=NOW))

        with reading(engine) as session, pytest.raises(BudgetReachedError):
            ledger.check_budget(session, settings, Decimal("0.05"), now=YESTERDAY)

    def test_lets_nobody_write_over_another_s_note(self, engine, product_id):
        with transaction(engine) as session:
            note = notes.add_note(session, product_id, text="a", by=ANA, now=NOW)
        with transaction(engine) as session:
            notes.edit_note(session, note.id, text="b", by=ANA, now=YESTERDAY, last_seen=NOW)

        with transaction(engine) as session, pytest.raises(ConflictError):
            notes.edit_note(session, note.id, text="c", by=ANA, now=YESTERDAY, last_seen=NOW)

    def test_removes_no_picture_that_was_just_saved(self, engine, store, upload, product_id):
        upload("red", NOW)
        images.store_picture(store, images.pictures.accept_upload(make_picture("blue")))
        long_ago = datetime.now(UTC) - timedelta(days=3)

        for now in (long_ago, long_ago + timedelta(days=2)):
            removed = orphans.remove_orphans(engine, store, by=UPKEEP, now=now)

            assert removed.total == 0


class TestAMachineInAnotherTimeZone:
    @pytest.fixture(params=["America/Sao_Paulo", "Pacific/Kiritimati", "Asia/Kolkata"])
    def zone(self, request, monkeypatch):
        monkeypatch.setenv("TZ", request.param)
        time.tzset()
        yield ZoneInfo(request.param)
        monkeypatch.undo()
        time.tzset()

    def test_writes_and_reads_the_same_moments(self, engine, zone):
        with transaction(engine) as session:
            session.add(make_product(first_seen_at=NOW.astimezone(zone)))

        with engine.connect() as connection:
            (written,) = connection.execute(text("SELECT first_seen_at FROM products")).one()
        with reading(engine) as session:
            read = session.get_one(Product, 1).first_seen_at
        assert written == "2026-11-22 12:00:00.000000"
        assert (read, read.tzinfo) == (NOW, UTC)

    def test_has_the_same_month_for_the_budget(self, zone):
        end_of_november = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)

        assert ledger.month_start(end_of_november) == datetime(2026, 11, 1, tzinfo=UTC)
