import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from dbos import DBOS
from sqlmodel import select

from core import checks, covers, images, ledger, sync
from core.clients.openai_images import OpenAIImagesPainter
from core.database import reading, transaction
from core.errors import ForbiddenError, NotFoundError, StartError
from core.images import PICTURES_PATH
from core.models import (
    Activity,
    CoverJob,
    JobState,
    PaidCall,
    PictureCheck,
    Product,
    ProductImage,
    SyncRun,
)
from core.picture_store import thumbnail_name
from core.sync import Trigger
from tests.builders import ANA, BOSS, NOW, make_job, make_picture, make_product
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]


def all_of(app, table):
    with reading(app.engine) as session:
        return session.exec(select(table)).all()


def add_products(app, count=1):
    """Save products and return their ids."""
    with transaction(app.engine) as session:
        session.add_all(products := [make_product() for _ in range(count)])
    return [product.id for product in products]


def wait_until_idle(app, timeout=30.0):
    """Wait until every sync and every cover has ended."""

    def is_idle():
        with reading(app.engine) as session:
            return not sync.running_run(session) and not covers.count_jobs(session)

    wait_for(is_idle, timeout)


def job_of(app, job_id):
    with reading(app.engine) as session:
        return covers.get_job(session, job_id)


def ended(app, job_id):
    """Wait for an order's end and return it."""
    wait_for(lambda: job_of(app, job_id).finished_at)
    return job_of(app, job_id)


def forget_how_it_ended(app, job_id):
    """Take away what an order's job wrote, as if it had been thrown out before it could write."""
    with transaction(app.engine) as session:
        job = session.get(CoverJob, job_id)
        image = session.get(ProductImage, job.image_id)
        session.delete(image)
        product = session.get(Product, job.product_id)
        product.image_url = product.current_image_id = None
        job.state, job.painted, job.image_id, job.finished_at = JobState.RUNNING, None, None, None


class TestTheLoop:
    def test_brings_offers_in_and_paints_each_a_cover(
        self, running_app, hotmart, openai, to_hotmart, to_openai
    ):
        hotmart.add_product(name="Sourdough", price=97)
        hotmart.add_product(name="Piano", price=49)
        hotmart.add_sale(product_name="Violão")
        app = running_app(**to_hotmart, **to_openai)

        started = app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        wait_until_idle(app)

        (run,) = all_of(app, SyncRun)
        assert (run.id, run.state, run.trigger) == (started.id, "succeeded", "button")
        assert (run.seen, run.created, run.covers_queued) == (3, 3, 3)
        rows = {image.product_id: image for image in all_of(app, ProductImage)}
        products = all_of(app, Product)
        assert len(rows) == len(products) == openai.bill == 3
        for product in products:
            image = rows[product.id]
            assert (product.image_url, product.current_image_id) == (image.image_url, image.id)
            assert image.generation_method == "ai_generated"
            assert image.cost_usd > 0
            assert f'"{product.name}"' in image.prompt
            name = image.image_url.removeprefix(PICTURES_PATH)
            assert app.store.exists(name)
            assert app.store.exists(images.thumbnail_url(image.image_url)[len(PICTURES_PATH) :])

    def test_again_with_nothing_changed_paints_nothing(
        self, running_app, hotmart, openai, to_hotmart, to_openai
    ):
        hotmart.seed_catalogue(products=2)
        app = running_app(**to_hotmart, **to_openai)
        app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        wait_until_idle(app)

        app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        wait_until_idle(app)

        assert openai.asked == 2
        assert [run.unchanged for run in all_of(app, SyncRun)] == [0, 2]

    def test_paints_again_with_the_marketer_s_words(self, running_app, openai, to_openai):
        app = running_app(**to_openai)
        (product_id,) = add_products(app)
        first = app.jobs.order_cover(product_id, prompt=None, by=ANA)
        ended(app, first.id)

        second = app.jobs.order_cover(product_id, prompt="a red guitar", by=ANA)
        ended(app, second.id)

        with reading(app.engine) as session:
            newest, oldest = images.history(session, product_id)
            product = session.get(Product, product_id)
        assert (newest.prompt, newest.created_by) == ("a red guitar", "Ana")
        assert oldest.job_id == first.id
        assert product.current_image_id == newest.id
        assert openai.requests[-1].body["prompt"] == "a red guitar"

    def test_sets_built_in_covers_without_an_image_service(self, running_app, to_hotmart, hotmart):
        hotmart.seed_catalogue(products=2)
        app = running_app(**to_hotmart)

        app.jobs.start_sync(Trigger.COMMAND, by=ANA)
        wait_until_idle(app)

        rows = all_of(app, ProductImage)
        assert [row.generation_method for row in rows] == ["template"] * 2
        assert {(row.width, row.height) for row in rows} == {(1200, 1200)}
        assert all(row.cost_usd is None for row in rows)

    def test_works_with_no_settings_at_all(self, running_app):
        app = running_app(covers_per_sync=1)

        app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        wait_until_idle(app)

        products = all_of(app, Product)
        assert len(products) >= 30
        assert {product.origin for product in products} == {"sample"}
        assert sum(product.image_url is not None for product in products) == 1

    def test_leaves_the_rest_one_click_away(
        self, running_app, hotmart, openai, to_hotmart, to_openai
    ):
        hotmart.seed_catalogue(products=5)
        app = running_app(**to_hotmart, **to_openai, covers_per_sync=2)
        app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        wait_until_idle(app)
        assert openai.bill == 2

        assert app.jobs.order_missing_covers(by=ANA) == 3
        assert app.jobs.order_missing_covers(by=ANA) == 0  # a second click
        wait_until_idle(app)

        assert openai.bill == 5
        assert all(product.image_url for product in all_of(app, Product))


class TestStartSync:
    def test_joins_the_sync_under_way(self, running_app, hotmart, to_hotmart):
        hotmart.fail("/products", "slow", seconds=0.5)
        app = running_app(**to_hotmart, covers_per_sync=0)
        ids = []

        def press():
            ids.append(app.jobs.start_sync(Trigger.BUTTON, by=ANA).id)

        threads = [threading.Thread(target=press) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until_idle(app)

        assert len(set(ids)) == 1
        assert len(all_of(app, SyncRun)) == 1

    def test_that_fails_says_why_and_orders_nothing(
        self, running_app, hotmart, openai, to_hotmart, to_openai
    ):
        hotmart.seed_catalogue(products=2)
        hotmart.fail("/security", "403", times=None)
        app = running_app(**to_hotmart, **to_openai)

        app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        wait_until_idle(app)

        (run,) = all_of(app, SyncRun)
        assert run.state == JobState.FAILED
        assert "Hotmart" in run.error
        assert all_of(app, Product) == all_of(app, CoverJob) == []
        assert openai.asked == 0

    def test_says_that_the_queue_did_not_start(self, running_app, tmp_path, caplog):
        (tmp_path / "file").touch()
        app = running_app(jobs_database_url=f"sqlite:///{tmp_path}/file/jobs.db")

        with pytest.raises(StartError, match="check JOBS_DATABASE_URL"):
            app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        with pytest.raises(StartError):
            app.jobs.order_cover(1, prompt=None, by=ANA)

        assert all_of(app, SyncRun) == []
        assert "did not start" in caplog.text


class TestFailingCovers:
    @pytest.mark.parametrize("fault", ["moderation_blocked", "drop"])
    def test_end_in_a_sentence_and_can_be_tried_again(self, running_app, openai, to_openai, fault):
        app = running_app(**to_openai)
        (product_id,) = add_products(app)
        openai.fail(fault)

        failed = app.jobs.order_cover(product_id, prompt=None, by=ANA)
        failed = ended(app, failed.id)

        assert failed.state == JobState.FAILED
        assert failed.error.endswith(".")
        assert "Traceback" not in failed.error
        assert openai.asked == 1
        assert all_of(app, ProductImage) == []

        again = app.jobs.order_cover(product_id, prompt=None, by=ANA)
        assert ended(app, again.id).state == JobState.SUCCEEDED
        assert len(all_of(app, ProductImage)) == 1

    def test_leave_the_picture_that_is_there(self, running_app, openai, to_openai):
        app = running_app(**to_openai)
        (product_id,) = add_products(app)
        upload = images.replace_image(
            app.engine, app.store, product_id, data=make_picture(), by=ANA, now=NOW
        )
        openai.fail("moderation_blocked")

        job = app.jobs.order_cover(product_id, prompt="x", by=ANA)
        ended(app, job.id)

        (product,) = all_of(app, Product)
        assert product.image_url == upload.image_url

    def test_are_asked_for_once_when_time_ran_out(self, running_app, openai, to_openai):
        app = running_app(**to_openai)
        app.jobs.painter = OpenAIImagesPainter(
            openai.key, openai.url, "gpt-image-1-mini", "low", "auto", timeout=0.5
        )
        openai.slow_seconds = 2
        openai.fail("slow", times=None)
        (product_id,) = add_products(app)

        job = ended(app, app.jobs.order_cover(product_id, prompt=None, by=ANA).id)

        assert job.state == JobState.FAILED
        assert job.problem == "timeout"
        assert openai.asked == 1

    def test_for_a_reason_nobody_foresaw_keep_it_to_themselves(self, running_app, to_openai):
        app = running_app(**to_openai)
        (product_id,) = add_products(app)
        app.jobs.painter = Broken()

        job = ended(app, app.jobs.order_cover(product_id, prompt=None, by=ANA).id)

        assert job.error == "Something unexpected went wrong while this cover was made. Try again."

    def test_end_also_when_showing_them_fails(self, running_app, openai, to_openai, monkeypatch):
        app = running_app(**to_openai)
        (product_id,) = add_products(app)

        def break_down(*_arguments, **_named):
            raise ValueError("secret reason")

        monkeypatch.setattr("core.covers.add_image", break_down)
        failed = ended(app, app.jobs.order_cover(product_id, prompt=None, by=ANA).id)

        assert failed.state == JobState.FAILED
        assert failed.error.startswith("Something unexpected went wrong")

    def test_do_not_stop_the_others(self, running_app, openai, to_openai):
        app = running_app(**to_openai)
        add_products(app, 4)
        openai.fail("moderation_blocked")

        app.jobs.order_missing_covers(by=ANA)
        wait_until_idle(app)

        states = Counter(job.state for job in all_of(app, CoverJob))
        assert states == {"succeeded": 3, "failed": 1}


class Broken:
    """A painter with a bug."""

    is_paid = True

    def paint(self, order):
        raise KeyError("frame 7")


class TestOrderCover:
    def test_clicked_many_times_is_painted_once(self, running_app, openai, to_openai):
        openai.latency = 0.3
        app = running_app(**to_openai)
        (product_id,) = add_products(app)
        ids = []

        def click():
            job = app.jobs.order_cover(product_id, prompt="a red guitar", by=ANA)
            ids.append(job.id)

        threads = [threading.Thread(target=click) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until_idle(app)

        assert len(ids) == 5
        assert len(set(ids)) == openai.bill == len(all_of(app, ProductImage)) == 1

    def test_with_several_prompts_leaves_one_current_picture(self, running_app, openai, to_openai):
        openai.latency = 0.1
        app = running_app(**to_openai)
        (product_id,) = add_products(app)

        for number in range(4):
            app.jobs.order_cover(product_id, prompt=f"guitar {number}", by=ANA)
        wait_until_idle(app)

        with reading(app.engine) as session:
            newest, *_others = rows = images.history(session, product_id)
            product = session.get(Product, product_id)
        assert len(rows) == 4
        assert (product.current_image_id, product.image_url) == (newest.id, newest.image_url)

    def test_of_an_offer_that_is_gone_is_refused(self, running_app, openai, to_openai):
        app = running_app(**to_openai)

        with pytest.raises(NotFoundError):
            app.jobs.order_cover(404, prompt=None, by=ANA)

        assert all_of(app, CoverJob) == []

    def test_goes_before_the_covers_of_a_sync(
        self, running_app, hotmart, openai, to_hotmart, to_openai
    ):
        openai.latency = 0.25
        hotmart.seed_catalogue(products=6)
        app = running_app(**to_hotmart, **to_openai, images_at_once=1)
        app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        wait_for(lambda: openai.asked)
        (product, *_) = all_of(app, Product)

        app.jobs.order_cover(product.id, prompt="mine", by=ANA)
        wait_for(lambda: openai.asked >= 4)

        prompts = [request.body["prompt"] for request in openai.requests]
        assert "mine" in prompts[:3]
        wait_until_idle(app)
        assert openai.bill == 7


class TestLimits:
    @pytest.fixture
    def new_queues(self, tmp_path):
        """The setting of a job database of its own: a known queue keeps its old limits a while."""
        return {"jobs_database_url": f"sqlite:///{tmp_path}/new.db"}

    def test_never_paint_more_at_once_than_allowed(
        self, running_app, openai, to_openai, new_queues
    ):
        openai.latency = 0.15
        app = running_app(**to_openai, **new_queues, images_at_once=2)
        add_products(app, 8)

        app.jobs.order_missing_covers(by=ANA)
        wait_until_idle(app)

        assert openai.bill == 8
        assert openai.most_at_once == 2

    def test_begin_no_more_a_minute_than_allowed(self, running_app, openai, to_openai, new_queues):
        app = running_app(**to_openai | new_queues | {"images_per_minute": 2})
        add_products(app, 4)

        app.jobs.order_missing_covers(by=ANA)
        wait_for(lambda: openai.bill == 2)
        threading.Event().wait(1.0)  # several looks at the queue

        assert openai.asked == 2
        with reading(app.engine) as session:
            assert covers.count_jobs(session, states=[JobState.QUEUED]) == 2

        app = running_app(**to_openai, **new_queues)  # started again, without a limit
        wait_until_idle(app)

        assert openai.bill == 4

    def test_stop_a_run_whose_account_is_refused_and_go_on_when_it_is_mended(
        self, running_app, hotmart, openai, to_hotmart, to_openai
    ):
        hotmart.seed_catalogue(products=20)
        app = running_app(**to_hotmart, **to_openai, images_at_once=2)
        openai.fail("credit_balance_exhausted", None)

        app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        wait_until_idle(app)

        jobs = all_of(app, CoverJob)
        assert {(job.state, job.problem) for job in jobs} == {("failed", "billing")}
        assert all("Add credit" in job.error for job in jobs)
        assert 3 <= openai.asked <= 3 + 2
        openai.heal()
        assert app.jobs.order_missing_covers(by=ANA) == 20
        wait_until_idle(app)
        assert all(product.image_url for product in all_of(app, Product))
        assert openai.bill == 20

    def test_let_a_stopped_run_hold_nothing_up(self, running_app, openai, to_openai, new_queues):
        app = running_app(**to_openai | new_queues | {"images_per_minute": 5, "images_at_once": 1})
        add_products(app, 60)
        openai.fail("invalid_api_key", None)

        app.jobs.order_missing_covers(by=ANA)
        wait_until_idle(app)  # within the first minute, in which 5 may be asked for

        jobs = all_of(app, CoverJob)
        assert {(job.state, job.problem) for job in jobs} == {("failed", "key")}
        assert openai.asked == 3
        stopped = [job.error for job in jobs if "not asked for" in job.error]
        assert len(stopped) == 57
        assert all("OPENAI_API_KEY" in why and "press Make covers" in why for why in stopped)
        wait_for(lambda: not DBOS.list_workflows(status=["ENQUEUED", "PENDING"]))

    def test_show_what_a_cover_waits_for(self, running_app, openai, to_openai):
        app = running_app(**to_openai)
        go_on = threading.Event()
        app.jobs.painter = OpenAIImagesPainter(
            openai.key,
            openai.url,
            "gpt-image-1-mini",
            "low",
            "auto",
            sleep=lambda _seconds: go_on.wait(20),
        )
        openai.fail("rate")  # asks for 12 seconds
        (product_id,) = add_products(app)

        job = app.jobs.order_cover(product_id, prompt=None, by=ANA)
        wait_for(lambda: job_of(app, job.id).waits_until)

        waiting = job_of(app, job.id)
        assert waiting.state == JobState.RUNNING
        assert 10 < (waiting.waits_until - waiting.started_at).total_seconds() < 20
        with reading(app.engine) as session:
            assert covers.waits_until(session) == waiting.waits_until
        go_on.set()
        assert ended(app, job.id).state == JobState.SUCCEEDED
        with reading(app.engine) as session:
            assert covers.waits_until(session) is None

    def test_of_one_picture_do_not_stop_the_others(
        self, running_app, hotmart, openai, to_hotmart, to_openai
    ):
        hotmart.seed_catalogue(products=8)
        app = running_app(**to_hotmart, **to_openai, images_at_once=1)
        openai.fail("moderation_blocked", 4)

        app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        wait_until_idle(app)

        assert Counter(job.state for job in all_of(app, CoverJob)) == {"failed": 4, "succeeded": 4}

    def test_hold_a_budget_across_a_whole_sync(
        self, running_app, hotmart, openai, to_hotmart, to_openai
    ):
        hotmart.seed_catalogue(products=6)
        app = running_app(**to_hotmart, **to_openai, monthly_budget_usd="0.05", images_at_once=2)

        app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        wait_until_idle(app)

        with reading(app.engine) as session:
            spent = ledger.spending_since(
                session, ledger.month_start(all_of(app, SyncRun)[0].started_at)
            ).total
        refused = [job for job in all_of(app, CoverJob) if job.state == JobState.FAILED]
        assert 0 < spent <= app.settings.monthly_budget_usd
        assert openai.bill + len(refused) == 6
        assert all("budget" in job.error for job in refused)
        assert len(refused) >= 2


class TestAStart:
    def test_works_several_times_in_one_process(self, running_app, openai, to_openai):
        for count in (1, 2, 3):
            app = running_app(**to_openai)
            (product_id,) = add_products(app)
            job = app.jobs.order_cover(product_id, prompt=None, by=ANA)

            assert ended(app, job.id).state == JobState.SUCCEEDED
            assert openai.bill == count

    def test_takes_up_orders_that_were_written_but_never_handed_over(
        self, make_app, running_app, openai, to_openai
    ):
        app = make_app(**to_openai)
        first, second = add_products(app, 2)
        with transaction(app.engine) as session:  # and here the process died
            arguments = {"by": ANA, "now": NOW}
            covers.order_cover(session, app.settings, first, prompt="mine", **arguments)
            covers.order_first_covers(session, app.settings, [second], **arguments)

        app = running_app(**to_openai)
        wait_until_idle(app)

        assert {job.state for job in all_of(app, CoverJob)} == {JobState.SUCCEEDED}
        assert openai.bill == 2

    def test_takes_up_a_sync_that_was_written_but_never_handed_over(
        self, make_app, running_app, hotmart, to_hotmart
    ):
        hotmart.seed_catalogue(products=2)
        app = make_app(**to_hotmart)
        with transaction(app.engine) as session:
            sync.start_run(session, trigger=Trigger.BUTTON, by=ANA, now=NOW)

        app = running_app(**to_hotmart, covers_per_sync=0)
        wait_until_idle(app)

        (run,) = all_of(app, SyncRun)
        assert (run.state, run.created) == (JobState.SUCCEEDED, 2)

    def test_uses_what_was_painted_before_the_process_died(
        self, running_app, make_app, openai, to_openai
    ):
        app = make_app(**to_openai)
        (product_id,) = add_products(app)
        with transaction(app.engine) as session:
            job = covers.order_cover(
                session, app.settings, product_id, prompt=None, by=ANA, now=NOW
            )
        jobs = app.jobs
        covers.paint_cover(app.engine, app.store, jobs.painter, app.settings, job.id, now=NOW)
        assert openai.bill == 1

        app = running_app(**to_openai)
        wait_until_idle(app)

        assert openai.asked == 1
        assert len(all_of(app, ProductImage)) == 1

    def test_carries_out_once_more_what_ended_without_a_word(self, running_app, openai, to_openai):
        app = running_app(**to_openai, covers_per_sync=0)
        (product_id,) = add_products(app)
        job = app.jobs.order_cover(product_id, prompt=None, by=ANA)
        ended(app, job.id)
        run = app.jobs.start_sync(Trigger.BUTTON, by=ANA)
        wait_until_idle(app)
        app.jobs.close()
        forget_how_it_ended(app, job.id)
        with transaction(app.engine) as session:
            session.get(SyncRun, run.id).state = JobState.RUNNING

        app = running_app(**to_openai)
        wait_until_idle(app)

        assert job_of(app, job.id).state == JobState.SUCCEEDED
        assert all_of(app, SyncRun)[0].state == JobState.FAILED
        assert openai.bill == 2

        app.jobs.close()
        forget_how_it_ended(app, job.id)
        app = running_app(**to_openai)
        wait_until_idle(app)

        assert job_of(app, job.id).state == JobState.FAILED
        assert job_of(app, job.id).error == "This was interrupted before it was done. Try again."
        assert openai.bill == 2

    def test_leaves_orders_alone_that_have_ended(self, make_app, running_app, openai, to_openai):
        app = make_app(**to_openai)
        (product_id,) = add_products(app)
        with transaction(app.engine) as session:
            product = session.get(Product, product_id)
            for state in (JobState.FAILED, JobState.SUCCEEDED, JobState.CANCELLED):
                session.add(make_job(product, state=state))
        before = [job.model_dump() for job in all_of(app, CoverJob)]

        app = running_app(**to_openai)
        wait_until_idle(app)

        assert [job.model_dump() for job in all_of(app, CoverJob)] == before
        assert openai.asked == 0


LIFE = """
import threading
from core.access import COMMAND
from core.app import create_app
from core.settings import read_settings

app = create_app(read_settings())
app.jobs.launch()
app.jobs.start_sync("command", by=COMMAND)
threading.Event().wait(120)
"""


CARRY_OUT = """
import threading
from core.app import create_app
from core.settings import read_settings

create_app(read_settings()).jobs.launch()
threading.Event().wait(120)
"""


class TestADeath:
    def test_in_the_middle_of_20_covers_loses_none_and_pays_for_few_twice(
        self, running_app, make_app, hotmart, openai, to_hotmart, to_openai, tmp_path
    ):
        openai.latency = 0.3
        hotmart.seed_catalogue(products=20)
        settings = {**to_hotmart, **to_openai, "images_at_once": 4}
        environment = {name.upper(): str(value) for name, value in settings.items()}
        environment |= {"DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [sys.executable, "-c", LIFE], cwd=tmp_path, env=os.environ | environment
        )
        try:
            wait_for(lambda: openai.bill >= 7, timeout=60)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        died_at = openai.bill
        assert 7 <= died_at < 20

        app = running_app(**settings)
        wait_until_idle(app)

        pictures = Counter(image.product_id for image in all_of(app, ProductImage))
        assert len(pictures) == 20
        assert set(pictures.values()) == {1}
        assert {job.state for job in all_of(app, CoverJob)} == {JobState.SUCCEEDED}
        assert all(product.image_url for product in all_of(app, Product))
        assert 20 <= openai.bill <= 20 + 4
        calls = Counter(call.state for call in all_of(app, PaidCall))
        assert calls["charged"] == 20
        assert calls["unknown"] <= 4
        assert openai.bill <= calls.total()
        assert [run.state for run in all_of(app, SyncRun)] == [JobState.SUCCEEDED]


class TestAnUpgrade:
    def test_with_jobs_waiting_loses_none_and_pays_for_none_twice(
        self, make_app, openai, to_openai, tmp_path
    ):
        """The newer version does something first, in the workflow that the jobs were in."""
        newer = tmp_path / "newer"
        shutil.copytree(ROOT / "core", newer / "core")
        shutil.copytree(ROOT / "data" / "fonts", newer / "data" / "fonts")
        jobs = newer / "core" / "jobs.py"
        old = jobs.read_text()
        new = old.replace(
            "    try:\n        paint_step(job_id)\n",
            "    DBOS.sleep(0.01)\n    try:\n        paint_step(job_id)\n",
        ).replace("_LOOK_FOR_LEFTOVERS_S = 5.0", "_LOOK_FOR_LEFTOVERS_S = 0.3")
        assert new.count("DBOS.sleep(0.01)") == new.count("LEFTOVERS_S = 0.3") == 1
        jobs.write_text(new)
        openai.latency = 0.3
        settings = {**to_openai, "images_at_once": 2}
        app = make_app(**settings)
        with transaction(app.engine) as session:
            for product_id in add_products(app, 8):
                covers.order_cover(session, app.settings, product_id, prompt=None, by=ANA, now=NOW)

        def live(source):
            environment = {name.upper(): str(value) for name, value in settings.items()}
            environment |= {"DATA_DIR": str(tmp_path), "PYTHONPATH": str(source)}
            return subprocess.Popen(
                [sys.executable, "-c", CARRY_OUT], cwd=tmp_path, env=os.environ | environment
            )

        for source, until in ((ROOT, 3), (newer, 8)):
            process = live(source)
            try:
                if until == 3:
                    wait_for(lambda: openai.bill >= 3, timeout=60)
                else:
                    wait_until_idle(app, timeout=60)
            finally:
                process.kill()
                process.wait()

        assert {job.state for job in all_of(app, CoverJob)} == {JobState.SUCCEEDED}
        assert len(all_of(app, ProductImage)) == 8
        calls = Counter(call.state for call in all_of(app, PaidCall))
        assert calls["charged"] == 8
        assert openai.bill <= 8 + calls["unknown"] <= 8 + 2


class TestStartCheck:
    @pytest.fixture
    def pictures(self, running_app):
        """A running App with three offers, each with an uploaded picture."""
        app = running_app()
        for product_id, colour in zip(add_products(app, 3), ("red", "green", "blue"), strict=True):
            images.replace_image(
                app.engine, app.store, product_id, data=make_picture(colour), by=ANA, now=NOW
            )
        return app

    def ended(self, app):
        """Wait for the end of the newest check and return it."""

        def newest():
            with reading(app.engine) as session:
                return checks.last_check(session)

        wait_for(lambda: newest().finished_at)
        return newest()

    @pytest.fixture
    def slowly(self, pictures, monkeypatch):
        """Lets a check begin to read, and go on only when the second event is set."""
        begun, go_on = threading.Event(), threading.Event()
        read = pictures.store.read

        def read_slowly(name):
            begun.set()
            go_on.wait(20)
            return read(name)

        monkeypatch.setattr(pictures.store, "read", read_slowly)
        return begun, go_on

    def test_tells_what_was_found(self, pictures):
        lost, harmed, _whole = all_of(pictures, ProductImage)
        pictures.store.path(lost.image_url.removeprefix(PICTURES_PATH)).unlink()
        pictures.store.path(thumbnail_name(harmed.digest)).unlink()

        pictures.jobs.start_check(by=BOSS)

        check = self.ended(pictures)
        assert (check.state, check.asked_by) == (JobState.SUCCEEDED, BOSS.name)
        assert (check.done, check.total, check.lost, check.mended, check.orphans) == (3, 3, 1, 1, 0)
        with reading(pictures.engine) as session:
            (found,) = checks.lost_pictures(session, check)
        assert (found.product_id, found.why) == (lost.product_id, "missing")
        assert pictures.store.exists(thumbnail_name(harmed.digest))

    def test_is_refused_to_an_editor(self, pictures):
        with pytest.raises(ForbiddenError):
            pictures.jobs.start_check(by=ANA)

        assert all_of(pictures, PictureCheck) == []

    def test_joins_the_check_under_way(self, pictures, slowly):
        _begun, go_on = slowly
        first = pictures.jobs.start_check(by=BOSS)
        second = pictures.jobs.start_check(by=BOSS)
        go_on.set()

        assert first.id == second.id
        assert self.ended(pictures).done == 3
        assert len(all_of(pictures, PictureCheck)) == 1

    def test_that_fails_says_so_and_can_be_repeated(self, pictures, monkeypatch):
        def break_down(*_arguments, **_named):
            raise ValueError("secret reason")

        with monkeypatch.context() as patched:
            patched.setattr("core.checks.verify", break_down)
            pictures.jobs.start_check(by=BOSS)
            failed = self.ended(pictures)
        pictures.jobs.start_check(by=BOSS)

        assert failed.state == JobState.FAILED
        assert failed.error == "Something unexpected went wrong during the check. Try again."
        assert self.ended(pictures).state == JobState.SUCCEEDED

    def test_that_was_written_down_and_not_handed_over_is_made_at_the_next_start(
        self, pictures, running_app
    ):
        with transaction(pictures.engine) as session:
            checks.start_check(session, by=BOSS, now=NOW)

        assert self.ended(running_app()).state == JobState.SUCCEEDED

    def test_in_whose_midst_capista_is_stopped_is_made_at_the_next_start(
        self, pictures, running_app, slowly
    ):
        begun, go_on = slowly
        check = pictures.jobs.start_check(by=BOSS)
        assert begun.wait(20)
        pictures.jobs._closed.set()  # as close() does first
        go_on.set()

        again = self.ended(running_app())

        assert (again.id, again.state, again.done) == (check.id, JobState.SUCCEEDED, 3)
        assert len(all_of(pictures, PictureCheck)) == 1


class TestSchedule:
    def test_starts_syncs_by_the_clock(self, running_app, hotmart, to_hotmart):
        hotmart.seed_catalogue(products=1)
        app = running_app(**to_hotmart, covers_per_sync=0, sync_schedule="* * * * * *")

        runs = wait_for(lambda: [run for run in all_of(app, SyncRun) if run.finished_at])

        assert {run.trigger for run in runs} == {"schedule"}
        assert {run.state for run in runs} == {JobState.SUCCEEDED}

    def test_is_gone_when_the_setting_is(self, running_app):
        running_app(sync_schedule="0 6 * * *")
        assert DBOS.get_schedule("sync")["schedule"] == "0 6 * * *"

        running_app(sync_schedule="30 7 * * 1")
        assert DBOS.get_schedule("sync")["schedule"] == "30 7 * * 1"

        running_app()
        assert DBOS.get_schedule("sync") is None

    def test_removes_what_nothing_needs_by_the_clock(self, running_app, monkeypatch):
        monkeypatch.setattr("core.jobs._REMOVE_ORPHANS", "* * * * * *")
        app = running_app()
        leftover = app.store.folder / ".0123456789abcdef.part"
        leftover.touch()
        os.utime(leftover, (0, 0))

        wait_for(lambda: all_of(app, Activity))

        assert not leftover.exists()
        assert {(row.actor, row.action) for row in all_of(app, Activity)} == {
            ("upkeep", "orphans_removed")
        }

    def test_of_the_removal_is_there_once_however_often_it_starts(self, running_app):
        for _start in range(2):
            running_app()

        assert DBOS.get_schedule("orphans")["schedule"] == "23 */4 * * *"
