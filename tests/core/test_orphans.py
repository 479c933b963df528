import hashlib
import os
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from core import covers, images, orphans
from core.access import UPKEEP, Actor, Role
from core.database import reading, transaction
from core.errors import ForbiddenError
from core.models import Activity, JobState, Orphan, Product
from core.orphans import find_orphans, remove_orphans
from core.picture_store import StorageError, picture_name, thumbnail_name
from core.pictures import accept_painting
from tests.builders import (
    ANA,
    make_call,
    make_image,
    make_job,
    make_picture,
    make_product,
    painted_answer,
)

TODAY = datetime.now(UTC)
DAY = timedelta(hours=25)
TOMORROW, DAY_AFTER = TODAY + DAY, TODAY + 2 * DAY


@pytest.fixture
def product(engine):
    """An offer with a picture's row, so that the database names something."""
    with transaction(engine) as session:
        product = make_product()
        session.add(product)
        session.flush()
        session.add_all([make_image(product) for _ in range(5)])
    return product


@pytest.fixture
def keep(store):
    """Saves a picture with its thumbnail a good while ago, and returns its digest."""

    def keep(number=1):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        for name in (picture_name(digest, "image/png"), thumbnail_name(digest)):
            store.save(name, b"x")
        grow_old(store, digest)
        return digest

    return keep


def grow_old(store, digest):
    for path in store.files():
        if path.name.startswith(digest):
            os.utime(path, ((TODAY - DAY).timestamp(),) * 2)


def digests_in(store):
    return {path.name[:64] for path in store.files()}


@pytest.fixture
def remove(engine, store):
    def remove(now):
        return remove_orphans(engine, store, by=UPKEEP, now=now)

    return remove


@pytest.fixture
def remove_for_days(remove):
    """Does as the clock does, until everything has gone that ever will."""

    def remove_for_days():
        for day in range(5):
            remove(TODAY + day * DAY)

    return remove_for_days


class TestAnOrphan:
    def test_goes_with_its_thumbnail_a_day_after_it_was_found(self, store, product, keep, remove):
        digest = keep()

        first, second = remove(TODAY), remove(TOMORROW)

        assert (first.total, second.pictures) == (0, 2)
        assert digest not in digests_in(store)

    def test_stays_when_it_is_found_for_the_first_time_however_old(
        self, store, product, keep, remove
    ):
        digest = keep()

        remove(TODAY + 100 * DAY)

        assert digest in digests_in(store)

    def test_stays_within_the_day(self, store, product, keep, remove):
        digest = keep()
        remove(TODAY)

        remove(TODAY + timedelta(hours=23))

        assert digest in digests_in(store)

    def test_whose_offer_was_removed_meanwhile_goes_later(
        self, engine, store, product, keep, remove
    ):
        digest = keep()
        with transaction(engine) as session:
            session.add(make_image(product, digest=digest))
        remove(TODAY)
        remove(TOMORROW)
        with transaction(engine) as session:
            session.delete(session.get_one(Product, product.id))
            session.add(other := make_product())
            session.flush()
            session.add_all([make_image(other) for _ in range(5)])

        remove(TOMORROW + timedelta(minutes=1))
        assert digest in digests_in(store)
        remove(TOMORROW + timedelta(minutes=1) + DAY)
        assert digest not in digests_in(store)

    def test_that_was_saved_again_has_another_day(self, store, product, keep, remove):
        digest = keep()
        remove(TODAY)
        for path in list(store.files()):
            os.utime(path, ((TODAY + timedelta(minutes=1)).timestamp(),) * 2)

        remove(TODAY + timedelta(hours=24, minutes=30))  # found long ago, saved less than a day ago
        remove(TODAY + timedelta(hours=48))
        assert digest in digests_in(store)
        remove(TODAY + timedelta(hours=48) + DAY)

        assert digest not in digests_in(store)

    def test_that_was_saved_since_it_was_found_is_found_anew(self, store, product, keep, remove):
        digest = keep()
        remove(TODAY)
        for path in list(store.files()):
            os.utime(path, (TOMORROW.timestamp(),) * 2)

        remove(TOMORROW + DAY)  # nobody looked in between: the machine was off

        assert digest in digests_in(store)

    def test_is_forgotten_when_a_row_names_it(self, engine, store, product, keep, remove):
        digest = keep()
        remove(TODAY)
        with transaction(engine) as session:
            session.add(make_image(product, digest=digest))

        remove(TOMORROW)

        assert digest in digests_in(store)
        with reading(engine) as session:
            assert session.exec(select(Orphan)).all() == []

    def test_is_listed_before_it_goes(self, engine, store, product, keep):
        digest = keep()

        assert list(find_orphans(engine, store, now=TODAY)) == [digest]


class TestNothingGoes:
    @pytest.fixture(autouse=True)
    def _named(self, product):
        pass

    def test_that_a_row_names(self, engine, store, product, keep, remove_for_days):
        digest = keep()
        with transaction(engine) as session:
            session.add(make_image(product, digest=digest))

        remove_for_days()

        assert digest in digests_in(store)

    def test_that_an_archived_offer_s_row_names(
        self, engine, store, product, keep, remove_for_days
    ):
        digest = keep()
        with transaction(engine) as session:
            session.get_one(Product, product.id).archived_at = TODAY
            session.add(make_image(product, digest=digest))

        remove_for_days()

        assert digest in digests_in(store)

    @pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
    def test_that_an_order_under_way_has_painted(
        self, engine, store, product, keep, remove_for_days, state
    ):
        digest = keep()
        with transaction(engine) as session:
            session.add(make_job(product, state=state, painted=painted_answer(digest=digest)))

        remove_for_days()

        assert digest in digests_in(store)

    def test_that_was_saved_today(self, store, remove):
        name = picture_name("1" * 64, "image/png")
        store.save(name, b"x")

        remove(TODAY)

        assert store.exists(name)

    def test_that_is_no_file_of_ours(self, store, remove_for_days):
        (store.folder / "aa").mkdir()
        theirs = [store.folder / "aa" / "holiday.png", store.folder / "readme.txt"]
        for path in theirs:
            path.write_bytes(b"x")
            os.utime(path, (0, 0))

        remove_for_days()

        assert all(path.exists() for path in theirs)

    def test_when_database_and_pictures_do_not_belong_together(
        self, store, keep, remove_for_days, caplog
    ):
        kept = {keep(number) for number in range(6)}  # and the database names five others

        remove_for_days()

        assert digests_in(store) == kept
        assert "DATABASE_URL" in caplog.text

    def test_for_somebody_who_is_no_admin(self, engine, store, keep):
        digest = keep()

        for now in (TODAY, TOMORROW):
            with pytest.raises(ForbiddenError):
                remove_orphans(engine, store, by=Actor("Ana", Role.EDITOR), now=now)

        assert digest in digests_in(store)

    def test_that_a_row_comes_to_name_between_the_look_and_the_removal(
        self, engine, store, product, keep, remove, monkeypatch
    ):
        digest = keep()
        remove(TODAY)
        find = orphans.find_orphans

        def find_then_attach(*arguments, **named):
            found = find(*arguments, **named)
            with transaction(engine) as session:
                session.add(make_image(product, digest=digest))
            return found

        monkeypatch.setattr(orphans, "find_orphans", find_then_attach)
        remove(TOMORROW)

        assert digest in digests_in(store)

    def test_that_is_saved_between_the_look_and_the_removal(self, store, keep, remove, monkeypatch):
        digest = keep()
        remove(TODAY)
        find = orphans.find_orphans

        def find_then_save(*arguments, **named):
            found = find(*arguments, **named)
            for path in found[digest]:
                os.utime(path, (TOMORROW.timestamp(),) * 2)
            return found

        monkeypatch.setattr(orphans, "find_orphans", find_then_save)
        remove(TOMORROW)

        assert digest in digests_in(store)


class TestSomebodyWhoCameTooLate:
    """The files went between their saving and the row that was to name them."""

    def test_uploading_is_told_to_try_again_and_changes_nothing(
        self, engine, store, product, monkeypatch
    ):
        save = images.store_picture

        def save_then_lose(*arguments):
            stored = save(*arguments)
            for path in list(store.files()):
                path.unlink()
            return stored

        upload = {"data": make_picture(), "by": ANA, "now": TODAY}
        with monkeypatch.context() as patched:
            patched.setattr(images, "store_picture", save_then_lose)
            with pytest.raises(StorageError, match="Try again"):
                images.replace_image(engine, store, product.id, **upload)

        with reading(engine) as session:
            assert session.get_one(Product, product.id).image_url is None
            assert len(images.history(session, product.id)) == 5
        images.replace_image(engine, store, product.id, **upload)
        with reading(engine) as session:
            assert session.get_one(Product, product.id).image_url is not None

    def test_with_a_cover_that_was_paid_for_saves_it_once_more(
        self, engine, store, product, monkeypatch
    ):
        from core.settings import read_settings
        from tests.core.test_covers import Artist

        with transaction(engine) as session:
            session.add(job := make_job(product))
        save, saved = covers.store_picture, []

        def save_then_lose_once(*arguments):
            stored = save(*arguments)
            if not saved:
                for path in list(store.files()):
                    path.unlink()
            saved.append(stored)
            return stored

        monkeypatch.setattr(covers, "store_picture", save_then_lose_once)
        artist = Artist()
        covers.paint_cover(
            engine, store, artist, read_settings(openai_api_key="key"), job.id, now=TODAY
        )
        with transaction(engine) as session:
            assert covers.attach_cover(session, store, job.id, now=TODAY)

        assert len(artist.orders) == 1
        assert digests_in(store) == {accept_painting(make_picture()).digest}


class TestLeftovers:
    def test_of_a_crash_go_after_a_day(self, store, remove):
        (store.folder / "ab").mkdir()
        (store.folder / "answers").mkdir()
        old = [
            store.folder / ".0123456789abcdef.part",
            store.folder / "ab" / f".{'ab' * 32}.png.0123456789abcdef.part",
            store.folder / "answers" / ".call-1.0123456789abcdef.part",
        ]
        young = store.folder / "ab" / f".{'ab' * 32}.png.fedcba9876543210.part"
        for path in [*old, young]:
            path.write_bytes(b"half")
        for path in old:
            os.utime(path, ((TODAY - DAY).timestamp(),) * 2)

        assert remove(TODAY).leftovers == 3

        assert not any(path.exists() for path in old)
        assert young.exists()


class TestAnAnswerThatWasPaidFor:
    @pytest.fixture
    def answer(self, engine, store, product):
        """Keeps the answer to a call of an order in this state."""

        def answer(state, *, is_newest=False):
            with transaction(engine) as session:
                session.add(job := make_job(product, state=state))
                session.flush()
                session.add(call := make_call(id="call-1", job_id=job.id))
                if is_newest:
                    session.get_one(Product, product.id).cover_job_id = job.id
            store.keep_answer(call.id, b"paid")
            os.utime(store.folder / "answers" / call.id, ((TODAY - DAY).timestamp(),) * 2)
            return call.id

        return answer

    @pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
    def test_goes_when_its_order_can_t_use_it(self, store, answer, remove, state):
        call = answer(state)

        assert remove(TODAY).answers == 1
        assert not store.has_answer(call)

    def test_goes_when_its_offer_is_gone(self, engine, store, product, answer, remove):
        call = answer(JobState.FAILED, is_newest=True)
        with transaction(engine) as session:
            session.delete(session.get_one(Product, product.id))

        remove(TODAY)

        assert not store.has_answer(call)

    @pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
    def test_stays_while_its_order_is_under_way(self, store, answer, remove_for_days, state):
        call = answer(state)

        remove_for_days()

        assert store.has_answer(call)

    def test_stays_while_its_order_may_be_tried_again(self, store, answer, remove_for_days):
        call = answer(JobState.FAILED, is_newest=True)

        remove_for_days()

        assert store.has_answer(call)

    def test_stays_for_a_day(self, store, answer, remove):
        call = answer(JobState.SUCCEEDED)
        os.utime(store.folder / "answers" / call)

        remove(TODAY)

        assert store.has_answer(call)

    def test_stays_when_nothing_is_known_of_its_call(self, store, remove_for_days):
        store.keep_answer("call-unknown", b"paid")
        os.utime(store.folder / "answers" / "call-unknown", (0, 0))

        remove_for_days()

        assert store.has_answer("call-unknown")


class TestWhatIsWrittenDown:
    def test_is_one_row_that_says_how_many_files_went(self, engine, product, keep, remove):
        keep(1), keep(2)
        remove(TODAY)

        remove(TOMORROW)

        with reading(engine) as session:
            (row,) = session.exec(select(Activity)).all()
        assert (row.actor, row.action, row.detail) == ("upkeep", "orphans_removed", "4")

    def test_is_nothing_when_nothing_went(self, engine, product, remove_for_days):
        remove_for_days()

        with reading(engine) as session:
            assert session.exec(select(Activity)).all() == []
