import threading
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event
from sqlmodel import select

from core import images, notes, sync
from core.clients.hotmart import HotmartClient
from core.database import reading, transaction
from core.errors import Problem, ServiceError
from core.models import CoverJob, JobState, Origin, Product, ProductImage, ProductOffer, SyncRun
from core.products import Filter, list_products
from core.settings import read_settings
from core.sync import Trigger, apply_plan, known_products, plan_sync, run_sync, start_run
from tests.builders import (
    ANA,
    NOW,
    make_picture,
    make_remote_offer,
    make_remote_product,
)
from tests.simulators.hotmart import CLIENT_ID, CLIENT_SECRET

LATER = NOW + timedelta(days=1)


@pytest.fixture
def bring_in(engine):
    """Plans with this list, and applies the plan."""

    def bring_in(*remote, is_sample=False, now=NOW):
        with transaction(engine) as session:
            plan = plan_sync(remote, known_products(session), is_sample=is_sample)
            apply_plan(session, plan, now=now)
        return plan

    return bring_in


@pytest.fixture
def products(engine):
    """Returns all offers, archived ones too."""

    def products():
        with reading(engine) as session:
            return session.exec(select(Product).order_by(Product.id)).all()

    return products


@pytest.fixture
def prices(engine):
    """Returns code, product id, amount and mainness of each price."""

    def prices():
        with reading(engine) as session:
            rows = session.exec(select(ProductOffer).order_by(ProductOffer.code))
            return [(row.code, row.product_id, row.price, row.is_main) for row in rows]

    return prices


@contextmanager
def writes_to(engine, table):
    """Collects what changes a table."""
    written = []

    def listen(_connection, _cursor, statement, *_rest):
        words = statement.replace('"', " ").split()
        if words[0] in ("INSERT", "UPDATE", "DELETE") and table in words[:4]:
            written.append(statement)

    event.listen(engine, "before_cursor_execute", listen)
    yield written
    event.remove(engine, "before_cursor_execute", listen)


def known(*remote, is_sample=False, is_archived=False, **values):
    """What the database would know after a sync of this list; two lists need no database."""
    plan = plan_sync(remote, [], is_sample=is_sample)
    return [
        sync.KnownProduct(
            id=number,
            values=its_values | values,
            is_archived=is_archived,
            offers={offer["code"]: offer for offer in offers},
        )
        for number, (its_values, offers) in enumerate(plan.new, start=1)
    ]


def made_of(plan):
    return len(plan.new), len(plan.changes), len(plan.archive), plan.unchanged


class TestPlanSync:
    def test_takes_a_new_offer_in(self):
        plan = plan_sync([make_remote_product(name="Violão do Zero")], [])

        assert made_of(plan) == (1, 0, 0, 0)
        values, offers = plan.new[0]
        assert (values["name"], values["origin"]) == ("Violão do Zero", "promoted")
        assert (values["price"], values["currency"]) == (Decimal(97), "BRL")
        assert values["search_text"] == "violao do zero bread school"
        assert len(offers) == 1

    def test_leaves_what_is_the_same_alone(self):
        remote = make_remote_product()

        assert made_of(plan_sync([remote], known(remote))) == (0, 0, 0, 1)

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"name": "New name"}, {"name": "New name", "search_text": "new name bread school"}),
            (
                {"producer_name": "Ana"},
                {"producer_name": "Ana", "search_text": "violao ana"},
            ),
            ({"status": "PAUSED"}, {"status": "PAUSED"}),
            ({"format": "EBOOK"}, {"format": "EBOOK"}),
            ({"ucode": "another"}, {"ucode": "another"}),
            ({"origin": "created"}, {"origin": "created"}),
        ],
    )
    def test_writes_only_what_changed(self, change, expected):
        before = make_remote_product(name="Violão", status="ACTIVE")

        plan = plan_sync([replace(before, **change)], known(before))

        assert made_of(plan) == (0, 1, 0, 0)
        assert plan.changes[0].values == expected
        assert plan.changes[0].offers is None

    def test_notices_another_price(self):
        offer = make_remote_offer(price=Decimal(97))
        before = make_remote_product(offers=(offer,))
        after = replace(before, offers=(replace(offer, price=Decimal(87), currency="USD"),))

        (change,) = plan_sync([after], known(before)).changes

        assert change.values == {"price": Decimal(87), "currency": "USD"}
        assert [o["price"] for o in change.offers] == [Decimal(87)]

    @pytest.mark.parametrize("amount", ["97", "97.0", "97.00"])
    def test_takes_the_same_amount_written_otherwise_for_the_same(self, amount):
        offer = make_remote_offer(price=Decimal("97.0"))
        before = make_remote_product(offers=(offer,))
        after = replace(before, offers=(replace(offer, price=Decimal(amount)),))

        assert made_of(plan_sync([after], known(before))) == (0, 0, 0, 1)

    @pytest.mark.parametrize("field", ["producer_name", "status", "format", "ucode"])
    def test_lets_nothing_that_is_left_out_erase_what_is_known(self, field):
        before = make_remote_product()

        assert made_of(plan_sync([replace(before, **{field: None})], known(before))) == (0, 0, 0, 1)

    def test_keeps_the_producer_in_the_search_when_only_the_name_is_told(self):
        before = make_remote_product(producer_name="Escola Som")

        (change,) = plan_sync(
            [replace(before, name="Piano", producer_name=None)], known(before)
        ).changes

        assert change.values == {"name": "Piano", "search_text": "piano escola som"}

    def test_archives_what_is_listed_no_more(self):
        stays, goes = make_remote_product(), make_remote_product()

        plan = plan_sync([stays], known(stays, goes))

        assert made_of(plan) == (0, 0, 1, 1)
        assert plan.archive == [2]

    def test_archives_nothing_twice(self):
        assert made_of(plan_sync([], known(make_remote_product(), is_archived=True))) == (
            0,
            0,
            0,
            0,
        )

    def test_brings_an_archived_offer_back_when_it_is_listed_again(self):
        remote = make_remote_product()

        plan = plan_sync([remote], known(remote, is_archived=True))

        assert made_of(plan) == (0, 1, 0, 0)
        assert plan.changes[0].values == {}

    def test_knows_an_offer_by_its_ucode(self):
        before = make_remote_product(hotmart_id=None, ucode="u-1")

        plan = plan_sync([replace(before, hotmart_id=42)], known(before))

        assert made_of(plan) == (0, 1, 0, 0)
        assert plan.changes[0].values == {"hotmart_id": 42}

    def test_makes_a_created_offer_of_a_promoted_one(self):
        before = make_remote_product(origin="promoted")

        (change,) = plan_sync([replace(before, origin="created")], known(before)).changes

        assert change.values == {"origin": "created"}

    @pytest.mark.parametrize("origin", [Origin.MANUAL, Origin.IMPORTED])
    def test_leaves_what_the_marketer_brought_in_theirs(self, origin):
        remote = make_remote_product()
        theirs = known(remote, origin=origin)

        assert made_of(plan_sync([], theirs)) == (0, 0, 0, 0)
        assert made_of(plan_sync([remote], theirs)) == (0, 0, 0, 1)

        (change,) = plan_sync([replace(remote, status="PAUSED")], theirs).changes
        assert change.values == {"status": "PAUSED"}

    def test_of_the_samples_archives_no_real_offer_and_the_other_way_round(self):
        sample, real = make_remote_product(), make_remote_product()
        both = [*known(sample, is_sample=True), replace(known(real)[0], id=2)]

        assert made_of(plan_sync([sample], both, is_sample=True)) == (0, 0, 0, 1)
        assert made_of(plan_sync([real], both)) == (0, 0, 0, 1)
        assert plan_sync([], both, is_sample=True).archive == [1]
        assert plan_sync([], both).archive == [2]

    @pytest.mark.parametrize(
        "twice",
        [
            ({"hotmart_id": 7, "ucode": "a"}, {"hotmart_id": 7, "ucode": "b"}),
            ({"hotmart_id": 7, "ucode": "a"}, {"hotmart_id": 8, "ucode": "a"}),
            ({"hotmart_id": None, "ucode": "a"}, {"hotmart_id": 8, "ucode": "a"}),
        ],
    )
    def test_takes_an_offer_that_is_listed_twice_once(self, twice):
        listed = [make_remote_product(**ids) for ids in twice]

        assert made_of(plan_sync(listed, [])) == (1, 0, 0, 0)
        assert made_of(plan_sync(listed, known(listed[0])))[0] == 0

    def test_gives_a_price_that_two_offers_claim_to_the_first(self):
        first = make_remote_product(offers=(make_remote_offer(code="same"),))
        second = make_remote_product(offers=(make_remote_offer(code="same"),))

        plan = plan_sync([first, second], [])

        assert [len(offers) for _values, offers in plan.new] == [1, 0]

    def test_keeps_a_promoted_offer_s_prices_that_no_sale_shows_now(self):
        offers = make_remote_offer(code="a"), make_remote_offer(code="b", is_main=False)
        before = make_remote_product(origin="promoted", offers=offers)

        seen_now = replace(before, offers=(replace(offers[1], is_main=True),))
        (change,) = plan_sync([seen_now], known(before)).changes
        nothing_seen = plan_sync([replace(before, offers=())], known(before))

        assert sorted((o["code"], o["is_main"]) for o in change.offers) == [
            ("a", False),
            ("b", True),
        ]
        assert made_of(nothing_seen) == (0, 0, 0, 1)

    def test_drops_a_created_offer_s_price_that_is_gone(self):
        offers = make_remote_offer(code="a"), make_remote_offer(code="b", is_main=False)
        before = make_remote_product(origin="created", offers=offers)

        (change,) = plan_sync([replace(before, offers=offers[:1])], known(before)).changes

        assert [offer["code"] for offer in change.offers] == ["a"]

    def test_keeps_a_created_offer_s_prices_when_none_are_told(self):
        before = make_remote_product(origin="created")

        plan = plan_sync([replace(before, offers=())], known(before))

        assert made_of(plan) == (0, 0, 0, 1)

    def test_drops_what_no_database_can_hold(self):
        offer = make_remote_offer(name="a\0b", payment_mode="\ud800")
        remote = make_remote_product(
            name="Vio\0lão \ud800", producer_name="A\0", status="\ud800", offers=(offer,)
        )

        ((values, offers),) = plan_sync([remote], []).new

        assert (values["name"], values["producer_name"]) == ("Violão ?", "A")
        assert (values["status"], offers[0]["name"]) == ("?", "ab")
        assert offers[0]["payment_mode"] == "?"

    def test_changes_nothing_by_itself(self):
        remote = make_remote_product()
        before = known(remote, make_remote_product())
        as_it_was = deepcopy(before)

        plan_sync([replace(remote, name="New", offers=())], before)

        assert before == as_it_was


class TestApplyPlan:
    def test_writes_new_offers_and_their_prices(self, bring_in, products, prices):
        bring_in(make_remote_product(name="Violão", offers=(make_remote_offer(code="a"),)))

        (product,) = products()
        assert (product.name, product.search_text) == ("Violão", "violao bread school")
        assert product.first_seen_at == product.last_seen_at == NOW
        assert prices() == [("a", product.id, Decimal(97), True)]

    def test_writes_no_product_row_when_nothing_changed(self, engine, bring_in):
        remote = [make_remote_product() for _ in range(30)]
        bring_in(*remote)

        with (
            writes_to(engine, "products") as to_products,
            writes_to(engine, "product_offers") as to_offers,
        ):
            plan = bring_in(*remote, now=LATER)

        assert made_of(plan) == (0, 0, 0, 30)
        assert to_products == to_offers == []

    @pytest.mark.parametrize("amount", ["97", "19.90", "0.1", "1234.567", "0", "33.333333"])
    def test_finds_every_amount_again(self, bring_in, amount):
        remote = make_remote_product(offers=(make_remote_offer(price=Decimal(amount)),))
        bring_in(remote)

        assert made_of(bring_in(remote)) == (0, 0, 0, 1)

    def test_writes_only_the_offer_that_changed(self, engine, bring_in, products):
        remote = [make_remote_product() for _ in range(3)]
        bring_in(*remote)

        with writes_to(engine, "products") as written:
            bring_in(remote[0], replace(remote[1], name="New"), remote[2], now=LATER)

        assert len(written) == 1
        assert [p.last_seen_at for p in products()] == [NOW, LATER, NOW]
        assert products()[1].name == "New"
        assert products()[1].first_seen_at == NOW

    def test_brings_an_archived_offer_back_with_pictures_and_notes(
        self, engine, store, bring_in, products
    ):
        remote = make_remote_product()
        bring_in(remote)
        id_ = products()[0].id
        picture = images.replace_image(engine, store, id_, data=make_picture(), by=ANA, now=NOW)
        with transaction(engine) as session:
            notes.add_note(session, id_, text="Sells well", by=ANA, now=NOW)

        bring_in()
        with reading(engine) as session:
            assert list_products(session, Filter()) == []
        assert products()[0].archived_at == NOW

        bring_in(remote, now=LATER)

        with reading(engine) as session:
            (summary,) = list_products(session, Filter())
        assert summary.product.id == id_
        assert summary.product.image_url == picture.image_url
        assert (summary.notes, summary.product.archived_at) == (1, None)

    def test_touches_nothing_that_the_marketer_made(self, engine, store, bring_in, products):
        remote = make_remote_product()
        bring_in(remote)
        images.replace_image(engine, store, products()[0].id, data=make_picture(), by=ANA, now=NOW)
        with transaction(engine) as session:
            product = session.get(Product, products()[0].id)
            product.hotlink, product.commission_percent = "https://go.example", Decimal(40)
        before = products()[0]

        bring_in(replace(remote, name="New"), now=LATER)

        after = products()[0]
        for name in ("image_url", "current_image_id", "hotlink", "commission_percent"):
            assert getattr(after, name) == getattr(before, name)

    def test_lets_a_price_move_to_another_offer(self, bring_in, prices):
        offer = make_remote_offer(code="a")
        first = make_remote_product(origin="created", offers=(offer,))
        second = make_remote_product(origin="created", offers=())
        bring_in(first, second)

        bring_in(replace(first, offers=()), replace(second, offers=(offer,)))

        assert [(code, id_) for code, id_, *_ in prices()] == [("a", 2)]

    def test_lets_a_price_move_away_from_a_promoted_offer(self, bring_in, prices):
        a, b = make_remote_offer(code="a"), make_remote_offer(code="b", is_main=False)
        first, second = make_remote_product(offers=(a, b)), make_remote_product(offers=())
        bring_in(first, second)

        for _ in range(2):
            plan = bring_in(
                replace(first, offers=(replace(b, price=Decimal(7)),)),
                replace(second, offers=(a,)),
            )

        assert [(code, id_) for code, id_, *_ in prices()] == [("a", 2), ("b", 1)]
        assert made_of(plan) == (0, 0, 0, 2)

    def test_lets_two_offers_change_their_ucodes(self, bring_in, products):
        first = make_remote_product(hotmart_id=1, ucode="a")
        second = make_remote_product(hotmart_id=2, ucode="b")
        bring_in(first, second)

        bring_in(replace(first, ucode="b", name="New"), replace(second, ucode="a"))

        assert [product.hotmart_id for product in products()] == [1, 2]
        assert products()[0].name == "New"

    def test_of_very_many_changes_at_once_works(self, engine, bring_in, products):
        remote = [
            make_remote_product(offers=(make_remote_offer(price=Decimal(1)),)) for _ in range(600)
        ]
        bring_in(*remote)

        plan = bring_in(
            *(
                replace(product, offers=(replace(product.offers[0], price=Decimal(2)),))
                for product in remote
            )
        )

        assert made_of(plan) == (0, 600, 0, 0)
        assert {product.price for product in products()} == {Decimal(2)}


class TestStartRun:
    def test_joins_the_run_under_way(self, engine):
        with transaction(engine) as session:
            first, is_new = start_run(session, trigger=Trigger.BUTTON, by=ANA, now=NOW)
            assert is_new

        with transaction(engine) as session:
            second, is_new = start_run(session, trigger=Trigger.API, by=ANA, now=LATER)

        assert not is_new
        assert (second.id, second.trigger, second.started_at) == (first.id, "button", NOW)

    def test_begins_another_when_the_last_one_has_ended(self, engine):
        with transaction(engine) as session:
            first, _ = start_run(session, trigger=Trigger.BUTTON, by=ANA, now=NOW)
            first.state = JobState.FAILED

        with transaction(engine) as session:
            second, is_new = start_run(session, trigger=Trigger.BUTTON, by=ANA, now=LATER)

        assert is_new
        assert second.id != first.id

    def test_from_many_threads_begins_one(self, engine):
        ids, ready = [], threading.Barrier(6)

        def press():
            ready.wait()
            with transaction(engine) as session:
                ids.append(start_run(session, trigger=Trigger.BUTTON, by=ANA, now=NOW)[0].id)

        threads = [threading.Thread(target=press) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(ids) == 6
        assert len(set(ids)) == 1
        with reading(engine) as session:
            assert len(session.exec(select(SyncRun)).all()) == 1


class Listing:
    """A source that lists what it is told, or fails on the way."""

    def __init__(self, *products, error=None):
        self.products = list(products)
        self.error = error

    def read_catalogue(self, *, now, report):
        report("products", len(self.products), None)
        if self.error:
            raise self.error
        return self.products


class TestRunSync:
    @pytest.fixture
    def sync_with(self, engine):
        """Runs a sync to its end; returns the run and the ids of its cover orders."""

        def sync_with(catalogue, **settings):
            with transaction(engine) as session:
                run, _ = start_run(session, trigger=Trigger.BUTTON, by=ANA, now=NOW)
            connected = {"hotmart_client_id": "id", "hotmart_client_secret": "secret"}
            job_ids = run_sync(engine, catalogue, read_settings(**connected | settings), run.id)
            with reading(engine) as session:
                return sync.get_run(session, run.id), job_ids

        return sync_with

    def test_counts_what_it_did(self, sync_with):
        stays, changes, goes = (make_remote_product() for _ in range(3))
        sync_with(Listing(stays, changes, goes))

        run, _ = sync_with(
            Listing(
                stays, replace(changes, name="New"), make_remote_product(), make_remote_product()
            )
        )

        assert run.state == JobState.SUCCEEDED
        assert (run.seen, run.created, run.updated) == (4, 2, 1)
        assert (run.unchanged, run.archived, run.covers_queued) == (1, 1, 2)
        assert run.finished_at > run.started_at
        assert run.error is None

    def test_orders_a_first_cover_for_each_new_offer(self, engine, sync_with):
        run, job_ids = sync_with(Listing(make_remote_product(), make_remote_product()))

        with reading(engine) as session:
            jobs = session.exec(select(CoverJob)).all()
        assert {job.id for job in jobs} == set(job_ids)
        assert all(job.is_first and job.sync_run_id == run.id for job in jobs)

    def test_orders_nothing_for_an_offer_that_is_known(self, sync_with):
        remote = make_remote_product()
        sync_with(Listing(remote))

        assert sync_with(Listing(replace(remote, name="New")))[1] == []

    @pytest.mark.parametrize(("written", "ordered"), [("all", 5), ("2", 2), ("0", 0), ("9", 5)])
    def test_orders_no_more_covers_than_allowed(self, sync_with, written, ordered):
        remote = [make_remote_product() for _ in range(5)]

        run, job_ids = sync_with(Listing(*remote), covers_per_sync=written)

        assert len(job_ids) == run.covers_queued == ordered
        assert run.created == 5

    def test_orders_the_newest_covers_first(self, engine, sync_with):
        remote = [make_remote_product() for _ in range(3)]

        _, job_ids = sync_with(Listing(*remote), covers_per_sync=2)

        with reading(engine) as session:
            ordered = [session.get_one(CoverJob, job_id).product_id for job_id in job_ids]
            ids = sorted(session.exec(select(Product.id)).all(), reverse=True)
        assert ordered == ids[:2]

    def test_puts_nothing_away_when_one_of_the_two_lists_is_empty(self, sync_with, products):
        promoted = make_remote_product(origin="promoted")
        created = [make_remote_product(origin="created") for _ in range(5)]
        sync_with(Listing(promoted, *created))

        run, _ = sync_with(Listing(promoted))

        assert run.state == JobState.FAILED
        assert "listed 5 offers before" in run.error
        assert all(product.is_live for product in products())

    def test_puts_nothing_away_for_an_empty_list_where_many_were(self, sync_with, products):
        sync_with(Listing(*[make_remote_product() for _ in range(5)]))

        run, _ = sync_with(Listing())

        assert run.state == JobState.FAILED
        assert "empty list" in run.error
        assert not any(product.archived_at for product in products())

    def test_puts_away_the_last_few_when_the_list_is_empty(self, sync_with, products):
        sync_with(Listing(make_remote_product()))

        run, _ = sync_with(Listing())

        assert run.archived == 1
        assert all(product.archived_at for product in products())

    def test_that_fails_leaves_everything_and_says_why(self, sync_with, products):
        remote = make_remote_product()
        sync_with(Listing(remote))
        before = [product.model_dump() for product in products()]
        error = ServiceError("Hotmart is tired.", problem=Problem.SERVER, permanent=False)

        run, job_ids = sync_with(Listing(error=error))

        assert (run.state, run.error) == (JobState.FAILED, "Hotmart is tired.")
        assert run.finished_at is not None
        assert job_ids == []
        assert [product.model_dump() for product in products()] == before

    def test_that_fails_for_a_reason_nobody_foresaw_keeps_it_to_itself(self, sync_with, caplog):
        run, _ = sync_with(Listing(error=KeyError("token-abc")))

        assert run.error == "Something unexpected went wrong during the sync. Try again."
        assert "token-abc" in caplog.text  # the log has it

    def test_can_be_tried_again_after_a_failure(self, sync_with):
        sync_with(Listing(error=KeyError()))

        run, _ = sync_with(Listing(make_remote_product()))

        assert (run.state, run.created) == (JobState.SUCCEEDED, 1)

    def test_that_has_ended_is_not_run_again(self, engine, sync_with):
        run, _ = sync_with(Listing(make_remote_product()))

        assert run_sync(engine, Listing(error=KeyError()), read_settings(), run.id) == []

        with reading(engine) as session:
            assert sync.get_run(session, run.id).state == JobState.SUCCEEDED

    def test_tells_how_far_it_is(self, engine, sync_with):
        seen = []

        class Slow(Listing):
            def read_catalogue(self, *, now, report):
                for step, done, total in [
                    ("products", 0, None),
                    ("products", 3, None),  # too soon after the one before
                    ("offers", 0, 3),
                    ("offers", 3, 3),
                    ("sales", 0, 24),
                ]:
                    report(step, done, total)
                    with reading(engine) as session:
                        run = sync.last_run(session)
                        seen.append((run.step, run.step_done, run.step_total))
                return []

        sync_with(Slow())

        assert seen == [
            ("products", 0, None),
            ("products", 0, None),
            ("offers", 0, 3),
            ("offers", 3, 3),
            ("sales", 0, 24),
        ]

    def test_makes_sample_offers_when_nothing_is_connected(self, engine, products):
        with transaction(engine) as session:
            run, _ = start_run(session, trigger=Trigger.BUTTON, by=ANA, now=NOW)

        run_sync(engine, Listing(make_remote_product()), read_settings(), run.id)

        assert [product.origin for product in products()] == [Origin.SAMPLE]


class TestRunSyncWithHotmart:
    """The same against a Hotmart that answers over HTTP."""

    @pytest.fixture
    def sync_now(self, engine, hotmart):
        client = HotmartClient(
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            api_url=hotmart.url,
            auth_url=hotmart.url,
            months=2,
            sleep=lambda _seconds: None,
        )
        settings = read_settings(hotmart_client_id="id", hotmart_client_secret="secret")

        def sync_now():
            with transaction(engine) as session:
                run, _ = start_run(session, trigger=Trigger.BUTTON, by=ANA, now=NOW)
            run_sync(engine, client, settings, run.id)
            with reading(engine) as session:
                return sync.get_run(session, run.id)

        return sync_now

    def test_brings_created_and_promoted_offers_in(self, hotmart, sync_now, products):
        hotmart.add_product(name="Sourdough", price=97)
        hotmart.add_sale(product_id=7_000_001, product_name="Violão", producer_name="Escola Som")

        run = sync_now()

        assert (run.state, run.created) == (JobState.SUCCEEDED, 2)
        created, promoted = products()
        assert (created.name, created.origin, created.status) == ("Sourdough", "created", "ACTIVE")
        assert (promoted.name, promoted.origin) == ("Violão", "promoted")
        assert (promoted.producer_name, promoted.price) == ("Escola Som", Decimal(97))

    def test_a_second_time_writes_no_product_row(self, engine, hotmart, sync_now):
        hotmart.seed_catalogue(products=20)
        for _ in range(10):
            hotmart.add_sale()
        sync_now()

        with writes_to(engine, "products") as written:
            run = sync_now()

        assert written == []
        assert (run.unchanged, run.updated, run.created, run.archived) == (30, 0, 0, 0)

    @pytest.mark.parametrize(
        ("path", "after"),
        [("/products/api/v1/products", 1), ("/payments/", 3), ("/products/api/v1/products/", 2)],
        ids=["second page", "sales", "offers"],
    )
    def test_that_reads_only_a_part_archives_nothing(
        self, hotmart, sync_now, products, path, after
    ):
        hotmart.variant("largest_page", 5)
        ids = [hotmart.add_product(price=10) for _ in range(8)]
        hotmart.add_sale()
        sync_now()
        before = [product.model_dump() for product in products()]
        hotmart.remove_product(ids[0])
        hotmart.change_product(ids[1], name="New")

        hotmart.fail(path, "500", times=None, after=after)
        run = sync_now()

        assert run.state == JobState.FAILED
        assert run.error.endswith(".")
        assert run.archived == 0
        assert [product.model_dump() for product in products()] == before

    def test_brings_back_what_vanished_for_a_while(self, hotmart, sync_now, products):
        number = hotmart.add_product(name="Sourdough", price=97, ucode="u-1")
        sync_now()

        hotmart.remove_product(number)
        assert sync_now().archived == 1
        assert products()[0].archived_at is not None

        hotmart.add_product(id=number, name="Sourdough", price=97, ucode="u-1")
        run = sync_now()

        assert (run.updated, run.created) == (1, 0)
        assert products()[0].is_live
        assert len(products()) == 1

    def test_keeps_names_as_they_are(self, hotmart, sync_now, products):
        names = ["**x** :smile: <script>", r"$\LaTeX$", "Crochê 🧶", "=1+1", "\u202eabc", "a" * 500]
        for name in names:
            hotmart.add_product(name=name)

        sync_now()

        assert sorted(product.name for product in products()) == sorted(names)

    def test_adds_no_picture_by_itself(self, engine, hotmart, sync_now):
        hotmart.seed_catalogue(products=2)

        sync_now()

        with reading(engine) as session:
            assert session.exec(select(ProductImage)).all() == []


def test_a_run_that_ended_meanwhile_in_another_process_is_not_failed(engine):
    with transaction(engine) as session:
        run, _is_new = sync.start_run(session, trigger=Trigger.COMMAND, by=ANA, now=NOW)
        run.state = JobState.SUCCEEDED

    with transaction(engine) as session:
        sync.fail_run(session, run.id, ValueError("interrupted"), now=NOW)

    with reading(engine) as session:
        assert sync.get_run(session, run.id).state == JobState.SUCCEEDED
