import json
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlmodel import select

from core import covers, images, ledger
from core.access import SYNC
from core.clients.openai_images import OpenAIImagesPainter
from core.database import reading, transaction
from core.errors import (
    BudgetReachedError,
    DashboardError,
    InvalidInputError,
    NotFoundError,
    Problem,
    ServiceError,
)
from core.ledger import CallState
from core.models import CoverJob, JobState, Product, ProductImage
from core.painting import Painting
from core.picture_store import thumbnail_name
from core.products import summarise
from core.settings import read_settings
from tests.builders import (
    ANA,
    NOW,
    make_call,
    make_job,
    make_picture,
    make_product,
    painted_answer,
)

LATER = NOW + timedelta(hours=1)


class Artist:
    """A painter that does as it is told, and remembers what it was asked."""

    def __init__(self, data: bytes | Exception | None = None, *, is_paid: bool = True) -> None:
        self.data = data or make_picture()
        self.is_paid = is_paid
        self.orders = []

    def paint(self, order):
        self.orders.append(order)
        if isinstance(self.data, Exception):
            raise self.data
        return Painting(self.data, "m-1", "high", "64x48", Decimal("0.05"))


@pytest.fixture
def paid():
    """Settings with an image service."""
    return read_settings(openai_api_key="key")


@pytest.fixture
def built_in():
    return read_settings()


@pytest.fixture
def product(engine):
    with transaction(engine) as session:
        product = make_product(name="Violão", producer_name="Escola Som")
        session.add(product)
    return product


@pytest.fixture
def order(engine, product, paid):
    """Orders a cover of the product, as its marketer."""

    def order(prompt=None, *, settings=paid, product_id=product.id, now=NOW):
        with transaction(engine) as session:
            return covers.order_cover(session, settings, product_id, prompt=prompt, by=ANA, now=now)

    return order


@pytest.fixture
def order_first(engine, product, paid):
    def order_first(*ids):
        with transaction(engine) as session:
            return covers.order_first_covers(
                session, paid, ids or [product.id], by=SYNC, now=NOW, sync_run_id=7
            )

    return order_first


@pytest.fixture
def paint(engine, store, paid):
    def paint(job_id, painter=None, settings=paid):
        covers.paint_cover(engine, store, painter or Artist(), settings, job_id, now=NOW)

    return paint


@pytest.fixture
def attach(engine, store):
    def attach(job_id):
        with transaction(engine) as session:
            return covers.attach_cover(session, store, job_id, now=LATER)

    return attach


@pytest.fixture
def jobs(engine):
    """Returns all orders."""

    def jobs():
        with reading(engine) as session:
            return session.exec(select(CoverJob).order_by(CoverJob.created_at)).all()

    return jobs


@pytest.fixture
def history(engine):
    def history():
        with reading(engine) as session:
            return session.exec(select(ProductImage).order_by(ProductImage.id)).all()

    return history


@pytest.fixture
def shown(engine, product):
    """Returns the address of the picture that the product shows."""

    def shown():
        with reading(engine) as session:
            return session.get(Product, product.id).image_url

    return shown


class TestOrderCover:
    def test_writes_the_order_down(self, engine, product, order):
        job = order("a red guitar")

        assert (job.state, job.prompt, job.created_by) == ("queued", "a red guitar", "Ana")
        assert (job.product_id, job.created_at, job.is_first) == (product.id, NOW, False)
        with reading(engine) as session:
            assert session.get(Product, product.id).cover_job_id == job.id

    def test_twice_is_one_order(self, order, jobs):
        assert order("a red guitar").id == order("  a red guitar ").id
        assert len(jobs()) == 1

    def test_with_other_words_is_another(self, order, jobs):
        orders = {order("red").id, order("blue").id, order().id}

        assert len(orders) == len(jobs()) == 3

    def test_again_after_the_end_of_the_first_is_another(self, engine, order):
        first = order("red")
        with transaction(engine) as session:
            session.get(CoverJob, first.id).state = JobState.FAILED

        second = order("red")

        assert second.id != first.id
        assert (first.variant, second.variant) == (0, 1)

    def test_without_words_means_the_built_ones(self, product, order):
        built = covers.built_prompt(product)

        assert order(None).id == order("  ").id == order(built).id
        assert order(None).prompt is None

    def test_of_the_built_words_joins_the_first_cover_that_waits(self, order, order_first):
        (first,) = order_first()

        assert order().id == first

    def test_sets_the_words_on_a_built_in_cover(self, product, order, built_in):
        job = order(covers.built_prompt(product), settings=built_in)

        assert job.prompt == covers.built_prompt(product)

    def test_refuses_a_prompt_that_is_too_long(self, order, jobs, engine, product):
        order("x" * 32_000)

        with pytest.raises(InvalidInputError, match="32,001 characters"):
            order("x" * 32_001)

        assert len(jobs()) == 1

    @pytest.mark.parametrize("prompt", ["a\0b", "lone \ud800"], ids=["nul", "surrogate"])
    def test_refuses_a_broken_prompt(self, order, jobs, prompt):
        with pytest.raises(InvalidInputError, match="broken character"):
            order(prompt)

        assert jobs() == []

    def test_refuses_an_offer_that_is_gone(self, order, jobs):
        with pytest.raises(NotFoundError, match="no longer here"):
            order(product_id=404)

        assert jobs() == []


class TestOrderFirstCovers:
    def test_writes_all_down_at_once(self, engine, order_first, jobs):
        with transaction(engine) as session:
            session.add_all(rows := [make_product() for _ in range(3)])
        ids = [row.id for row in rows]

        job_ids = order_first(*ids)

        assert [job.product_id for job in jobs()] == ids
        assert all(job.is_first and job.prompt is None for job in jobs())
        assert {job.sync_run_id for job in jobs()} == {7}
        with reading(engine) as session:
            assert [session.get(Product, id_).cover_job_id for id_ in ids] == job_ids

    def test_of_nothing_are_none(self, engine, paid, jobs):
        with transaction(engine) as session:
            assert covers.order_first_covers(session, paid, [], by=SYNC, now=NOW) == []

        assert jobs() == []


class TestPaintCover:
    def test_asks_with_the_marketer_s_words(self, order, paint):
        artist = Artist()

        paint(order("a red guitar").id, artist)

        assert [o.prompt for o in artist.orders] == ["a red guitar"]

    def test_asks_with_the_built_words_if_there_are_none(self, product, order, paint):
        artist = Artist()

        paint(order().id, artist)

        (asked,) = artist.orders
        assert asked.prompt == covers.built_prompt(product)
        assert (asked.title, asked.producer) == ("Violão", "Escola Som")

    def test_gives_the_built_in_painter_only_the_marketer_s_words(self, order, paint, built_in):
        artist = Artist(is_paid=False)

        paint(order(settings=built_in).id, artist, built_in)

        assert [o.prompt for o in artist.orders] == [""]

    def test_keeps_the_bytes_as_they_came(self, store, order, paint, jobs):
        data = make_picture(kind="WEBP")

        paint(order().id, Artist(data))

        painted = json.loads(jobs()[0].painted)
        assert store.read(painted["name"]) == data
        assert store.exists(f"{painted['digest']}-400.webp")
        assert jobs()[0].state == JobState.RUNNING

    def test_shows_nothing_yet(self, order, paint, shown, history):
        paint(order().id)

        assert shown() is None
        assert history() == []

    def test_never_pays_twice_for_one_order(self, engine, store, order, paid, openai, jobs):
        painter = OpenAIImagesPainter(openai.key, openai.url, "gpt-image-1-mini", "low", "auto")
        job = order()

        for _ in range(2):  # the process died before the answer could be shown
            covers.paint_cover(engine, store, painter, paid, job.id, now=NOW)

        assert (openai.asked, openai.bill) == (1, 1)

    @pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.FAILED, JobState.SUCCEEDED])
    def test_paints_nothing_for_an_order_that_has_ended(self, engine, product, paint, state):
        with transaction(engine) as session:
            session.add(job := make_job(product, state=state))
        artist = Artist()

        paint(job.id, artist)

        assert artist.orders == []

    def test_refuses_an_order_that_is_gone(self, paint):
        with pytest.raises(NotFoundError, match="no such job"):
            paint("cover-404")

    def test_goes_with_its_offer(self, engine, product, order, paint):
        job = order()
        with transaction(engine) as session:
            session.delete(session.get(Product, product.id))
        artist = Artist()

        with pytest.raises(NotFoundError):
            paint(job.id, artist)

        assert artist.orders == []

    @pytest.mark.parametrize("data", [b"<html>", make_picture(kind="JPEG")[:-60], b"GIF89a"])
    def test_takes_only_a_picture_for_an_answer(self, store, order, paint, jobs, data):
        with pytest.raises(ServiceError, match="not a usable picture") as raised:
            paint(order().id, Artist(data))

        assert raised.value.permanent
        assert raised.value.problem == Problem.WRONG_ANSWER
        assert jobs()[0].painted is None
        assert not [path for path in store.folder.rglob("*") if path.is_file()]


class TestAttachCover:
    def test_shows_the_cover_with_all_that_is_known_of_it(self, order, paint, attach, history):
        job = order("a red guitar")
        paint(job.id)

        image_id = attach(job.id)

        (image,) = history()
        assert (image.id, image.job_id) == (image_id, job.id)
        assert (image.generation_method, image.prompt) == ("ai_generated", "a red guitar")
        assert (image.model, image.quality, image.size) == ("m-1", "high", "64x48")
        assert image.cost_usd == Decimal("0.05")
        assert (image.created_by, image.created_at) == ("Ana", LATER)

    def test_ends_the_order(self, order, paint, attach, jobs, shown, history):
        job = order()
        paint(job.id)

        attach(job.id)

        (job,) = jobs()
        assert (job.state, job.finished_at) == ("succeeded", LATER)
        assert job.image_id == history()[0].id
        assert shown() == history()[0].image_url

    def test_calls_the_built_in_one_a_template(self, order, paint, attach, history, built_in):
        job = order(settings=built_in)
        paint(job.id, Artist(is_paid=False), built_in)

        attach(job.id)

        assert history()[0].generation_method == "template"
        assert history()[0].prompt is None

    def test_twice_adds_one_row(self, order, paint, attach, history):
        job = order()
        paint(job.id)

        assert attach(job.id) == attach(job.id)

        assert len(history()) == 1

    def test_before_it_is_painted_adds_none(self, order, attach, history, jobs):
        assert attach(order().id) is None

        assert history() == []
        assert jobs()[0].state == JobState.QUEUED

    def test_of_a_cancelled_order_adds_none(self, engine, product, attach, history, shown):
        with transaction(engine) as session:
            job = make_job(product, state=JobState.CANCELLED, painted=painted_answer())
            session.add(job)

        assert attach(job.id) is None

        assert history() == []
        assert shown() is None

    def test_lets_a_first_cover_displace_no_upload(
        self, engine, store, product, order_first, paint, attach, shown, history
    ):
        (job_id,) = order_first()
        upload = images.replace_image(
            engine, store, product.id, data=make_picture("red"), by=ANA, now=NOW
        )

        paint(job_id)
        attach(job_id)

        assert shown() == upload.image_url
        assert [image.generation_method for image in history()] == ["manual_upload", "ai_generated"]

    def test_lets_a_marketer_s_order_replace_what_is_there(
        self, engine, store, product, order, paint, attach, shown, history
    ):
        images.replace_image(engine, store, product.id, data=make_picture("red"), by=ANA, now=NOW)
        job = order()

        paint(job.id)
        attach(job.id)

        assert shown() == history()[1].image_url
        assert len(history()) == 2

    def test_keeps_an_unknown_cost_unknown(self, engine, store, product, attach, history):
        answer = painted_answer(cost_usd=None)
        store.save(json.loads(answer)["name"], b"x")
        store.save(thumbnail_name(json.loads(answer)["digest"]), b"x")
        with transaction(engine) as session:
            job = make_job(product, state=JobState.RUNNING, painted=answer)
            session.add(job)

        attach(job.id)

        assert history()[0].cost_usd is None

    def test_takes_the_cost_from_the_usage(
        self, engine, store, order, paid, openai, attach, history
    ):
        painter = OpenAIImagesPainter(
            openai.key, openai.url, "gpt-image-2.5-flare", "medium", "1024x1024"
        )
        job = order("x" * 40)

        covers.paint_cover(engine, store, painter, paid, job.id, now=NOW)
        attach(job.id)

        # 439 tokens at $30 and 16 at $5, per million
        assert history()[0].cost_usd == Decimal("0.01325")


class TestFailCover:
    @pytest.fixture
    def fail(self, engine):
        def fail(job_id, error):
            with transaction(engine) as session:
                covers.fail_cover(session, job_id, error, now=LATER)

        return fail

    def test_shows_the_sentence_of_an_error_of_ours(self, order, fail, jobs):
        error = ServiceError("The account is empty.", problem=Problem.BILLING, permanent=True)

        fail(order().id, error)

        (job,) = jobs()
        assert (job.state, job.error, job.problem) == ("failed", "The account is empty.", "billing")
        assert job.finished_at == LATER

    def test_shows_nothing_of_another_error(self, order, fail, jobs):
        fail(order().id, ValueError("token abc123 in frame 7"))

        assert jobs()[0].error == (
            "Something unexpected went wrong while this cover was made. Try again."
        )

    def test_is_what_the_card_shows(self, engine, product, order, fail):
        fail(order().id, DashboardError("No."))

        with reading(engine) as session:
            (summary,) = summarise(session, [product.id])
        assert summary.failure == "No."
        assert not summary.is_being_made

    @pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.CANCELLED])
    def test_leaves_an_order_that_has_ended(self, engine, product, fail, jobs, state):
        with transaction(engine) as session:
            session.add(job := make_job(product, state=state))

        fail(job.id, DashboardError("No."))

        assert (jobs()[0].state, jobs()[0].error) == (state, None)

    def test_of_an_order_that_is_gone_changes_nothing(self, fail, jobs):
        fail("cover-404", DashboardError("No."))

        assert jobs() == []

    def test_can_be_tried_again(self, order, fail, paint, attach, shown):
        failed = order()
        fail(failed.id, DashboardError("No."))

        again = order()
        paint(again.id)
        attach(again.id)

        assert again.id != failed.id
        assert shown()


class TestBudget:
    @pytest.fixture
    def limited(self):
        """Settings with a budget; a medium cover is estimated at about a cent."""

        def limited(budget):
            return read_settings(openai_api_key="key", monthly_budget_usd=budget)

        return limited

    def test_refuses_an_order_beyond_it(self, order, limited, jobs):
        with pytest.raises(BudgetReachedError, match=r"US\$ 0\.01.+MONTHLY_BUDGET_USD"):
            order(settings=limited("0.01"))

        assert jobs() == []

    def test_of_zero_refuses_everything(self, order, limited):
        with pytest.raises(BudgetReachedError):
            order(settings=limited("0"))

    def test_lets_an_order_within_it_through(self, order, limited):
        assert order(settings=limited("0.02")).state == JobState.QUEUED

    def test_counts_what_was_spent_this_month(self, engine, product, order, limited):
        with transaction(engine) as session:
            session.add(make_call(cost_usd=Decimal("0.99"), asked_at=NOW))

        with pytest.raises(BudgetReachedError, match=r"US\$ 0\.99 of it is spent"):
            order(settings=limited("1"))

    def test_begins_anew_with_the_month(self, engine, product, order, limited):
        last_month = ledger.month_start(NOW) - timedelta(seconds=1)
        with transaction(engine) as session:
            session.add(make_call(cost_usd=Decimal("0.99"), asked_at=last_month))

        assert order(settings=limited("1")).state == JobState.QUEUED

    def test_counts_what_waits_already(self, order, limited, jobs):
        order(settings=limited("0.02"))

        with pytest.raises(BudgetReachedError, match="with those that wait"):
            order(prompt="another", settings=limited("0.02"))

        assert len(jobs()) == 1

    def test_counts_what_is_being_painted(self, engine, product, order, limited):
        with transaction(engine) as session:
            session.add(make_call(state=CallState.ASKED, estimated_usd=Decimal("0.99")))

        with pytest.raises(BudgetReachedError):
            order(settings=limited("1"))

    def test_counts_what_may_have_been_billed(self, engine, order, limited):
        with transaction(engine) as session:
            session.add(make_call(state=CallState.UNKNOWN, estimated_usd=Decimal("0.99")))

        with pytest.raises(BudgetReachedError):
            order(settings=limited("1"))

    def test_does_not_count_what_was_refused(self, engine, order, limited):
        with transaction(engine) as session:
            session.add(make_call(state=CallState.FREE, estimated_usd=Decimal("0.99")))

        assert order(settings=limited("1")).state == JobState.QUEUED

    def test_holds_when_the_painting_begins(self, engine, order_first, paint, limited, jobs):
        (job_id,) = order_first()
        artist = Artist()

        with pytest.raises(BudgetReachedError):
            paint(job_id, artist, limited("0.001"))

        assert artist.orders == []
        assert jobs()[0].state == JobState.QUEUED

    def test_concerns_no_built_in_cover(self, order):
        assert order(settings=read_settings(monthly_budget_usd="0")).state == JobState.QUEUED


class TestEstimate:
    def test_is_known_for_a_known_model(self, paid):
        estimate = covers.estimate(paid, "x" * 40)

        assert Decimal("0.01") < estimate.high < Decimal("0.02")

    def test_is_none_where_nobody_knows(self):
        settings = read_settings(openai_api_key="key", image_model="flux-1-dev")

        assert covers.estimate(settings, "x") is None


class TestCounts:
    def test_are_by_state(self, engine, product):
        with transaction(engine) as session:
            session.add_all([make_job(product, state=state) for state in JobState])

        with reading(engine) as session:
            assert covers.count_jobs(session) == 2
            assert covers.count_jobs(session, states=[JobState.FAILED]) == 1

    def test_name_what_is_unfinished_oldest_first(self, engine, product):
        with transaction(engine) as session:
            session.add(make_job(product, id="cover-new", created_at=LATER))
            session.add(make_job(product, id="cover-old", state=JobState.RUNNING))
            session.add(make_job(product, state=JobState.SUCCEEDED))

        assert [job.id for job in covers.unfinished_jobs(engine)] == ["cover-old", "cover-new"]
