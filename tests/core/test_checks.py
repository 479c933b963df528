import pytest

from core import checks
from core.database import reading, transaction
from core.models import JobState, PictureCheck
from tests.builders import BOSS, NOW, make_image, make_product


@pytest.fixture
def newest(engine):
    def newest():
        with reading(engine) as session:
            return checks.last_check(session)

    return newest


@pytest.fixture
def check(engine):
    """A check that was asked for."""
    with transaction(engine) as session:
        return checks.start_check(session, by=BOSS, now=NOW)[0]


class TestRunCheck:
    def test_of_no_pictures_finds_nothing_wrong(self, engine, store, check, newest):
        checks.run_check(engine, store, check.id)

        found = newest()
        assert (found.state, found.done, found.lost) == (JobState.SUCCEEDED, 0, 0)

    def test_leaves_one_that_has_ended_as_it_is(self, engine, store, check, newest):
        checks.run_check(engine, store, check.id)
        before = newest().model_dump()

        checks.run_check(engine, store, check.id)

        assert newest().model_dump() == before

    def test_writes_no_result_when_the_process_is_about_to_stop(self, engine, store, check, newest):
        checks.run_check(engine, store, check.id, is_stopped=lambda: True)

        assert newest().state == JobState.RUNNING

    def test_names_only_some_of_very_many_and_counts_all(self, engine, store, check, newest):
        with transaction(engine) as session:
            session.add(product := make_product(name="Yoga"))
            session.flush()
            session.add_all([make_image(product) for _ in range(250)])

        checks.run_check(engine, store, check.id)

        with reading(engine) as session:
            named = checks.lost_pictures(session, newest())
        assert newest().lost == 250
        assert len(named) == 200
        assert {(one.product_name, one.why) for one in named} == {("Yoga", "missing")}


class TestLostPictures:
    def test_of_an_offer_that_was_removed_since_have_no_name(self, engine):
        check = PictureCheck(
            asked_by="x", started_at=NOW, lost_ones='[{"file": "f", "why": "w", "offers": [7, 8]}]'
        )

        with reading(engine) as session:
            found = checks.lost_pictures(session, check)

        assert [(one.product_id, one.product_name) for one in found] == [(7, None), (8, None)]
