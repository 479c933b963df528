from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event

from core import products
from core.database import reading, transaction
from core.errors import NotFoundError
from core.images import PICTURES_PATH
from core.models import JobState, Origin, Product
from core.products import ARCHIVED, Cover, Filter, Sort
from tests.builders import ANA, NOW, make_job, make_note, make_product


@pytest.fixture
def add(engine):
    """Saves products and what belongs to them; returns the first."""

    def add(*rows):
        with transaction(engine) as session:
            session.add_all(rows)
        return rows[0]

    return add


@pytest.fixture
def names(engine):
    """Returns the names on one page of a list."""

    def names(wanted=None, **arguments):
        with reading(engine) as session:
            found = products.list_products(session, wanted or Filter(), **arguments)
            return [summary.product.name for summary in found]

    return names


@contextmanager
def counted_statements(engine):
    statements = []

    def count(_connection, _cursor, statement, *_rest):
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    yield statements
    event.remove(engine, "before_cursor_execute", count)


class TestSearch:
    @pytest.mark.parametrize(
        "search",
        [
            "violao",
            "VIOLÃO",
            "Violão",
            "viola\u0303o",
            "iolã",
            "zero violao",
            "  violão   do  ",
            "escola",
            "violão ESCOLA",
            "🎸",
            "",
            "   ",
        ],
    )
    def test_finds_by_parts_of_name_and_producer(self, add, names, search):
        add(make_product(name="Violão do Zero 🎸", producer_name="Escola Som"))

        assert names(Filter(search=search)) == ["Violão do Zero 🎸"]

    @pytest.mark.parametrize("search", ["piano", "violão piano", "violaodozero", "x%", "v_olao"])
    def test_wants_every_word(self, add, names, search):
        add(make_product(name="Violão do Zero", producer_name="Escola Som"))

        assert names(Filter(search=search)) == []

    @pytest.mark.parametrize(
        ("search", "found"),
        [
            ("%", ["100% Yoga"]),
            ("_", ["snake_case"]),
            ("\\", ["back\\slash"]),
            ("0%", ["100% Yoga"]),
            ("e_c", ["snake_case"]),
            ("'", ["O'Hara"]),
            ("100% y", ["100% Yoga"]),
        ],
    )
    def test_takes_every_sign_literally(self, add, names, search, found):
        add(*(make_product(name=n) for n in ("100% Yoga", "snake_case", "back\\slash", "O'Hara")))

        assert names(Filter(search=search)) == found

    @pytest.mark.parametrize(
        "search",
        ["a\0b", "lone \ud800", "x" * 100_000, "a b " * 3_000, "' OR 1=1 --", "*", "(", "NEAR("],
        ids=lambda search: search[:8],
    )
    def test_survives_every_text(self, add, names, search):
        add(make_product(name="Violão"))

        assert names(Filter(search=search)) == []


class TestFilters:
    def test_leave_archived_offers_out_unless_asked_for(self, add, names):
        add(make_product(name="live"), make_product(name="gone", archived_at=NOW))

        assert names() == ["live"]
        assert names(Filter(search="gone")) == []
        assert names(Filter(status="ACTIVE")) == ["live"]
        assert names(Filter(status=ARCHIVED)) == ["gone"]

    def test_by_status(self, add, names):
        add(make_product(name="on"), make_product(name="off", status="PAUSED"))
        add(make_product(name="unknown", status=None))

        assert names(Filter(status="PAUSED")) == ["off"]
        assert names(Filter(status="NEVER_HEARD_OF")) == []

    def test_by_origin(self, add, names):
        add(*(make_product(name=origin, origin=origin) for origin in Origin))

        for origin in Origin:
            assert names(Filter(origin=origin)) == [origin.value]

    def test_by_picture(self, add, names):
        add(
            make_product(name="seen", image_url=PICTURES_PATH + "x", current_image_id=1),
            make_product(name="bare"),
        )

        assert names(Filter(has_image=True)) == ["seen"]
        assert names(Filter(has_image=False)) == ["bare"]

    def test_by_how_the_newest_cover_fares(self, engine, add, names):
        with transaction(engine) as session:
            for name, earlier, newest in [
                ("waits", None, JobState.QUEUED),
                ("runs", JobState.FAILED, JobState.RUNNING),
                ("failed", JobState.SUCCEEDED, JobState.FAILED),
                ("done", JobState.FAILED, JobState.SUCCEEDED),
                ("never", None, None),
            ]:
                product = make_product(name=name)
                session.add(product)
                session.flush()
                for state in (earlier, newest):
                    if state:
                        job = make_job(product, state=state)
                        session.add(job)
                        product.cover_job_id = job.id

        assert sorted(names(Filter(cover=Cover.MAKING))) == ["runs", "waits"]
        assert names(Filter(cover=Cover.FAILED)) == ["failed"]

    def test_hold_together(self, add, names):
        add(
            make_product(name="Piano", status="PAUSED"),
            make_product(name="Piano II"),
            make_product(name="Yoga", status="PAUSED"),
        )

        assert names(Filter(search="piano", status="PAUSED")) == ["Piano"]

    def test_count_what_they_list(self, engine, add):
        add(make_product(), make_product(status="PAUSED"), make_product(archived_at=NOW))

        with reading(engine) as session:
            assert products.count_products(session, Filter()) == 2
            assert products.count_products(session, Filter(status="PAUSED")) == 1
            assert products.count_products(session, Filter(status=ARCHIVED)) == 1
            assert products.count_products(session, Filter(search="nothing")) == 0

    def test_offer_the_statuses_that_occur(self, engine, add):
        add(
            make_product(status="PAUSED"),
            make_product(status="ACTIVE"),
            make_product(status="ACTIVE"),
            make_product(status=None),
            make_product(status="DELETED", archived_at=NOW),
        )

        with reading(engine) as session:
            assert products.statuses(session) == ["ACTIVE", "PAUSED"]


class TestSort:
    @pytest.fixture(autouse=True)
    def _offers(self, add):
        add(
            make_product(name="Água", price=Decimal("9.90"), first_seen_at=NOW),
            make_product(name="zebra", price=None, first_seen_at=NOW - timedelta(days=2)),
            make_product(name="Bolo", price=Decimal(100), first_seen_at=NOW - timedelta(days=1)),
            make_product(name="bolo", price=Decimal("9.90"), first_seen_at=NOW),
        )

    @pytest.mark.parametrize(
        ("sort", "expected"),
        [
            (Sort.NEWEST, ["bolo", "Água", "Bolo", "zebra"]),
            (Sort.NAME, ["Água", "Bolo", "bolo", "zebra"]),
            (Sort.NAME_DOWN, ["zebra", "bolo", "Bolo", "Água"]),
            (Sort.PRICE, ["Água", "bolo", "Bolo", "zebra"]),
            (Sort.PRICE_DOWN, ["Bolo", "bolo", "Água", "zebra"]),
        ],
    )
    def test_puts_what_has_no_price_last_and_ties_always_alike(self, names, sort, expected):
        assert names(sort=sort) == expected

    @pytest.mark.parametrize("sort", Sort)
    def test_shows_every_offer_on_one_page_exactly(self, names, sort):
        pages = [names(sort=sort, page=page, page_size=1) for page in (1, 2, 3, 4, 5)]

        assert [name for page in pages for name in page] == names(sort=sort)
        assert pages[4] == []


class TestPages:
    def test_hold_24_offers(self, add, names):
        add(*(make_product() for _ in range(25)))

        assert len(names()) == 24
        assert len(names(page=2)) == 1
        assert names(page=3) == []

    @pytest.mark.parametrize(
        ("total", "pages"), [(0, 1), (1, 1), (24, 1), (25, 2), (48, 2), (49, 3)]
    )
    def test_are_counted(self, total, pages):
        assert products.page_count(total) == pages


class TestListProducts:
    def test_tells_what_a_card_shows(self, engine, add):
        product = add(make_product())
        job = make_job(product, state=JobState.FAILED, error="The key is wrong.")
        with transaction(engine) as session:
            session.get(Product, product.id).cover_job_id = job.id
            session.add_all([job, make_note(product), make_note(product)])
            session.add(make_note(product, deleted_at=NOW))

        with reading(engine) as session:
            (summary,) = products.list_products(session, Filter())

        assert summary.notes == 2
        assert summary.failure == "The key is wrong."
        assert not summary.is_being_made

    @pytest.mark.parametrize("state", JobState)
    def test_tells_how_the_cover_fares(self, engine, add, state):
        product = add(make_product(cover_job_id="cover-x"))
        add(make_job(product, id="cover-x", state=state, error="No."))

        with reading(engine) as session:
            (summary,) = products.list_products(session, Filter())

        assert summary.is_being_made is (state in (JobState.QUEUED, JobState.RUNNING))
        assert summary.failure == ("No." if state == JobState.FAILED else None)

    def test_needs_as_many_statements_for_24_offers_as_for_one(self, engine, add):
        def fill(count):
            for _ in range(count):
                product = add(make_product())
                add(make_note(product), make_job(product))

        fill(1)
        with counted_statements(engine) as for_one, reading(engine) as session:
            assert len(products.list_products(session, Filter())) == 1

        fill(23)
        with counted_statements(engine) as for_many, reading(engine) as session:
            assert len(products.list_products(session, Filter())) == 24

        assert len(for_one) == len(for_many) <= 3

    def test_of_some_ids_keeps_their_order_and_skips_what_is_gone(self, engine, add):
        first, second = make_product(), make_product()
        add(first, second)

        with reading(engine) as session:
            found = products.summarise(session, [second.id, 404, first.id])

        assert [summary.product.id for summary in found] == [second.id, first.id]


class TestGetProduct:
    def test_returns_an_archived_one_too(self, engine, add):
        product = add(make_product(archived_at=NOW))

        with reading(engine) as session:
            assert products.get_product(session, product.id).name == product.name

    @pytest.mark.parametrize("product_id", [404, 0, -1, 2**31, 2**63, 10**30])
    def test_says_that_there_is_none(self, engine, product_id):
        with reading(engine) as session, pytest.raises(NotFoundError, match="no longer here"):
            products.get_product(session, product_id)


class TestFindProducts:
    def test_finds_by_name_in_order(self, engine, add):
        add(*(make_product(name=n) for n in ("Yoga B", "yoga a", "Piano", "Yóga C")))
        add(make_product(name="Yoga gone", archived_at=NOW))

        with reading(engine) as session:
            assert [p.name for p in products.find_products(session, "yoga")] == [
                "yoga a",
                "Yoga B",
                "Yóga C",
            ]
            assert len(products.find_products(session, "yoga", limit=2)) == 2


class TestWithoutPicture:
    def test_are_live_offers_that_nothing_is_made_for(self, engine, add):
        bare = add(make_product(name="bare"))
        failed = add(make_product(name="failed", cover_job_id="cover-f"))
        making = add(make_product(name="making", cover_job_id="cover-m"))
        add(make_product(image_url="x", current_image_id=1), make_product(archived_at=NOW))
        add(make_job(failed, id="cover-f", state=JobState.FAILED))
        add(make_job(making, id="cover-m", state=JobState.RUNNING))

        with reading(engine) as session:
            assert products.without_picture(session) == [failed.id, bare.id]
            assert products.without_picture(session, limit=1) == [failed.id]
            assert products.count_without_picture(session) == 2

    def test_leave_out_an_offer_whose_built_words_were_refused(self, engine, add):
        built = add(make_product(cover_job_id="cover-built"))
        own = add(make_product(cover_job_id="cover-own"))
        refused = {"state": JobState.FAILED, "problem": "blocked"}
        add(
            make_job(built, id="cover-built", **refused),
            make_job(own, id="cover-own", prompt="my own words", **refused),
        )

        with reading(engine) as session:
            assert products.without_picture(session) == [own.id]

    def test_leave_out_an_offer_whose_older_order_still_waits(self, engine, add):
        product = add(make_product(cover_job_id="cover-new"))
        add(
            make_job(product, id="cover-old", state=JobState.QUEUED),
            make_job(product, id="cover-new", state=JobState.FAILED),
        )

        with reading(engine) as session:
            assert products.without_picture(session) == []
            assert products.count_without_picture(session) == 0


class TestArchiveSamples:
    def test_puts_the_sample_offers_away_and_nothing_else(self, engine, add, names):
        long_ago = NOW - timedelta(days=9)
        sample = add(make_product(name="sample", origin=Origin.SAMPLE))
        put_away = add(make_product(origin=Origin.SAMPLE, archived_at=long_ago))
        add(make_product(name="real"), make_note(sample))

        with transaction(engine) as session:
            assert products.archive_samples(session, by=ANA, now=NOW) == 1

        assert names() == ["real"]
        with reading(engine) as session:
            assert session.get(Product, sample.id).archived_at == NOW
            assert session.get(Product, put_away.id).archived_at == long_ago
            (summary,) = products.summarise(session, [sample.id])
            assert summary.notes == 1
