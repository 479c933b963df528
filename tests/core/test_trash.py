from dataclasses import asdict
from datetime import timedelta

import pytest
from sqlmodel import select

from core import backup, covers, events, images, ledger, notes, products, sync, trash
from core.activity import list_activity
from core.database import migrate, open_engine, reading, transaction
from core.errors import ConflictError, DashboardError, NotFoundError
from core.events import ProductNews
from core.images import Making
from core.models import (
    Activity,
    CoverJob,
    JobState,
    Method,
    Origin,
    PaidCall,
    Product,
    ProductImage,
    ProductNote,
)
from core.painting import Painting
from core.picture_store import open_store
from core.pictures import accept_painting
from core.products import ARCHIVED, Filter
from core.settings import read_settings
from core.trash import Amounts, Kind
from core.verify import verify
from tests.builders import (
    ANA,
    BOSS,
    NOW,
    make_call,
    make_image,
    make_job,
    make_note,
    make_picture,
    make_product,
    make_remote_product,
    painted_answer,
)
from tests.contents import everything

LATER = NOW + timedelta(hours=1)
CONNECTED = {"hotmart_client_id": "an-id", "hotmart_client_secret": "a-secret"}


@pytest.fixture
def add(engine):
    """Saves rows; returns the first."""

    def add(*rows):
        with transaction(engine) as session:
            for row in rows:
                session.add(row)
                session.flush()
        return rows[0]

    return add


@pytest.fixture
def do(engine):
    """Calls a function of core in a transaction, as an admin, an hour later."""

    def do(function, *arguments, **named):
        with transaction(engine) as session:
            return function(session, *arguments, **{"by": BOSS, "now": LATER} | named)

    return do


@pytest.fixture
def empty(do):
    def empty(until=LATER, **settings):
        return do(trash.empty_trash, read_settings(**settings), until=until)

    return empty


@pytest.fixture
def listed(engine):
    """Returns kind and id of what is in the trash."""

    def listed(page=1):
        with reading(engine) as session:
            found = trash.list_trash(session, by=ANA, page=page)
            return [(deleted.kind, deleted.row.id) for deleted in found]

    return listed


@pytest.fixture
def offer(add):
    """An offer with an earlier and a current picture, and a note."""
    product = add(make_product(name="Piano"))
    add(make_image(product), current := make_image(product), make_note(product, note="Sells"))
    product.current_image_id, product.image_url = current.id, current.image_url
    return add(product)


class TestADeletedOffer:
    def test_is_in_no_list_no_count_and_no_filter(self, engine, add, do):
        product = add(make_product(name="Piano", status="PAUSED"))
        gone = add(make_product(name="Organ", archived_at=NOW))
        add(make_note(product))
        for one in (product, gone):
            do(products.delete_product, one.id)

        with reading(engine) as session:
            for wanted in (
                Filter(),
                Filter(status="PAUSED"),
                Filter(status=ARCHIVED),
                Filter(search="piano"),
                Filter(has_image=False),
                Filter(origin=Origin.PROMOTED),
            ):
                assert products.list_products(session, wanted) == []
                assert products.count_products(session, wanted) == 0
            assert products.statuses(session) == []
            assert products.find_products(session, "") == []
            assert products.summarise(session, [product.id]) == []
            assert products.count_without_picture(session) == 0
            assert products.without_picture(session) == []
            assert notes.list_notes(session).total == 0
            assert notes.list_notes(session, product_id=product.id).items == []
            assert notes.products_with_notes(session) == []

    def test_can_be_neither_read_nor_changed(self, engine, store, offer, do):
        with reading(engine) as session:
            (note,) = session.exec(select(ProductNote)).all()
            earlier = session.exec(select(ProductImage)).first()
        do(products.delete_product, offer.id)
        before = everything(engine)
        settings = read_settings()

        for call in (
            lambda: do(products.change_product, offer.id, {"language": "pt"}),
            lambda: do(products.delete_product, offer.id),
            lambda: do(notes.add_note, offer.id, text="x"),
            lambda: do(notes.edit_note, note.id, text="x"),
            lambda: do(notes.pin_note, note.id, pinned=True),
            lambda: do(notes.delete_note, note.id),
            lambda: do(images.revert, offer.id, earlier.id),
            lambda: do(images.delete_image, offer.id, earlier.id),
            lambda: do(covers.order_cover, settings, offer.id, prompt=None),
            lambda: images.replace_image(
                engine, store, offer.id, data=make_picture(), by=ANA, now=LATER
            ),
        ):
            with pytest.raises(NotFoundError, match="This offer is in the trash"):
                call()

        assert everything(engine) == before

    def test_comes_back_as_it_was(self, engine, offer, do):
        tables = everything(engine)

        do(products.delete_product, offer.id)
        do(products.restore_product, offer.id)

        after = everything(engine)
        assert after.pop("activity") != tables.pop("activity")
        assert after == tables

    def test_is_kept_up_to_date_by_a_sync_but_never_brought_back(self, engine, do):
        remote = make_remote_product(name="Piano")
        for seen in ([remote], [], [remote]):
            with transaction(engine) as session:
                sync.apply_plan(
                    session, sync.plan_sync(seen, sync.known_products(session)), now=NOW
                )
                product = session.exec(select(Product)).one()
                if product.deleted_at is None:
                    products.delete_product(session, product.id, by=ANA, now=LATER)

        assert product.deleted_at == LATER
        assert product.archived_at is None

    def test_gets_no_second_one_from_an_event(self, engine, add):
        product = add(make_product(deleted_at=NOW, archived_at=NOW))
        news = ProductNews("e1", product.hotmart_id, None, "Piano", "Keys", None, None)

        with transaction(engine) as session:
            orders = events.take_news(session, read_settings(), news, now=LATER)

        with reading(engine) as session:
            (known,) = session.exec(select(Product)).all()
        assert orders == []
        assert (known.deleted_at, known.archived_at) == (NOW, None)


class Artist:
    """A painter that costs money and remembers what it was asked."""

    is_paid = True

    def __init__(self):
        self.orders = []

    def paint(self, order):
        self.orders.append(order)
        return Painting(make_picture(), "m-1", "high", "64x48", None)


class TestACoverOfADeletedOffer:
    @pytest.fixture
    def paint(self, engine, store):
        def paint(job_id):
            artist = Artist()
            settings = read_settings(openai_api_key="key")
            try:
                covers.paint_cover(engine, store, artist, settings, job_id, now=LATER)
            finally:
                self.asked = artist.orders

        return paint

    def test_that_waits_is_not_paid_any_more(self, engine, store, add, paint):
        product = add(make_product(deleted_at=NOW))
        job = add(make_job(product))

        with pytest.raises(DashboardError, match="into the trash before its cover was asked for"):
            paint(job.id)

        assert self.asked == []
        with reading(engine) as session:
            assert session.exec(select(PaidCall)).all() == []

    def test_that_was_cut_off_unanswered_counts_as_maybe_billed(self, engine, add, paint):
        product = add(make_product(deleted_at=NOW))
        job = add(make_job(product))
        add(make_call(job_id=job.id, state=ledger.CallState.ASKED))

        with pytest.raises(DashboardError, match="into the trash"):
            paint(job.id)

        with reading(engine) as session:
            (call,) = session.exec(select(PaidCall)).all()
        assert (call.state, self.asked) == (ledger.CallState.UNKNOWN, [])

    def test_that_was_answered_already_is_used(self, engine, store, add, paint):
        product = add(make_product(deleted_at=NOW))
        job = add(make_job(product))
        call = add(make_call(job_id=job.id))
        store.keep_answer(call.id, make_picture())

        paint(job.id)
        with transaction(engine) as session:
            covers.attach_cover(session, store, job.id, now=LATER)

        with reading(engine) as session:
            (image,) = session.exec(select(ProductImage)).all()
            kept = session.get_one(Product, product.id)
        assert self.asked == []
        assert (kept.current_image_id, kept.deleted_at) == (image.id, NOW)

    def test_that_is_painted_is_attached(self, engine, store, add):
        product = add(make_product(deleted_at=NOW))
        stored = images.store_picture(store, accept_painting(make_picture()))
        job = add(make_job(product, painted=painted_answer(**asdict(stored))))

        with transaction(engine) as session:
            image_id = covers.attach_cover(session, store, job.id, now=LATER)

        with reading(engine) as session:
            assert session.get_one(Product, product.id).current_image_id == image_id
            assert session.get_one(CoverJob, job.id).state == JobState.SUCCEEDED


class TestADeletedPicture:
    @pytest.fixture
    def earlier(self, engine, offer):
        with reading(engine) as session:
            return images.history(session, offer.id)[-1]

    def test_is_not_in_the_history_and_can_t_be_gone_back_to(self, engine, offer, earlier, do):
        do(images.delete_image, offer.id, earlier.id)

        with reading(engine) as session:
            assert earlier.id not in [image.id for image in images.history(session, offer.id)]
        with pytest.raises(NotFoundError, match="no such picture"):
            do(images.revert, offer.id, earlier.id)
        with pytest.raises(NotFoundError, match="no such picture"):
            do(images.delete_image, offer.id, earlier.id)

    def test_comes_back_without_being_shown(self, engine, offer, earlier, do):
        do(images.delete_image, offer.id, earlier.id)

        do(images.restore_image, earlier.id)

        with reading(engine) as session:
            assert images.history(session, offer.id)[-1] == earlier
            assert session.get_one(Product, offer.id).current_image_id == offer.current_image_id

    def test_is_never_the_one_that_is_shown(self, engine, offer, do):
        before = everything(engine)

        with pytest.raises(ConflictError, match="Choose another one first"):
            do(images.delete_image, offer.id, offer.current_image_id)

        assert everything(engine) == before

    def test_is_never_one_of_another_offer(self, engine, add, earlier, do):
        other = add(make_product())
        before = everything(engine)

        with pytest.raises(NotFoundError):
            do(images.delete_image, other.id, earlier.id)

        assert everything(engine) == before


class TestListTrash:
    def test_has_the_newest_deletion_first(self, add, listed):
        product = add(make_product())
        offer = add(make_product(deleted_at=NOW + timedelta(minutes=2)))
        picture = make_image(product, deleted_at=NOW + timedelta(minutes=3))
        note = make_note(product, deleted_at=NOW + timedelta(minutes=1))
        add(picture, note, make_note(product), make_image(product))

        assert listed() == [("picture", picture.id), ("offer", offer.id), ("note", note.id)]

    def test_shows_20_on_a_page_and_counts_all(self, engine, add, listed):
        product = add(make_product())
        add(*(make_note(product, deleted_at=NOW) for _number in range(41)))

        with reading(engine) as session:
            amounts = trash.count_trash(session)

        assert (amounts.total, amounts.pages) == (41, 3)
        assert len({*listed(1), *listed(2), *listed(3)}) == 41
        assert listed(4) == []

    def test_tells_what_comes_back_only_after_its_offer(self, engine, add, do):
        product = add(make_product(deleted_at=NOW))
        note, picture = make_note(product, deleted_at=NOW), make_image(product, deleted_at=NOW)
        add(note, picture)

        with reading(engine) as session:
            waiting = {d.kind for d in trash.list_trash(session, by=ANA) if d.waits_for_its_offer}

        assert waiting == {Kind.NOTE, Kind.PICTURE}
        for restore, id_ in (
            (notes.restore_note, note.id),
            (images.restore_image, picture.id),
        ):
            with pytest.raises(NotFoundError, match="This offer is in the trash"):
                do(restore, id_)


class TestEmptyTrash:
    def test_deletes_what_is_in_it_and_nothing_else(self, engine, offer, add, empty, listed):
        add(make_note(offer, deleted_at=NOW), make_image(offer, deleted_at=NOW))
        gone = add(make_product(hotmart_id=None, ucode=None, origin=Origin.MANUAL, deleted_at=NOW))
        add(make_note(gone), make_image(gone), make_job(gone, state=JobState.FAILED))

        assert empty() == Amounts(offers=1, pictures=1, notes=1)

        assert listed() == []
        with reading(engine) as session:
            assert [p.name for p in session.exec(select(Product))] == ["Piano"]
            assert [note.note for note in session.exec(select(ProductNote))] == ["Sells"]
            assert len(session.exec(select(ProductImage)).all()) == 2
            assert session.exec(select(CoverJob)).all() == []

    @pytest.mark.parametrize(
        ("values", "settings", "goes"),
        [
            ({}, CONNECTED, False),
            ({}, {}, False),
            ({"origin": Origin.CREATED}, CONNECTED, False),
            ({"origin": Origin.IMPORTED}, CONNECTED, False),
            ({"origin": Origin.SAMPLE}, {}, False),
            ({"origin": Origin.SAMPLE}, CONNECTED, True),
            ({"archived_at": NOW}, CONNECTED, True),
            ({"origin": Origin.MANUAL, "hotmart_id": None, "ucode": None}, CONNECTED, True),
        ],
    )
    def test_leaves_offers_that_the_next_sync_would_pay_for(
        self, add, empty, listed, values, settings, goes
    ):
        product = add(make_product(deleted_at=NOW, **values))

        gone = empty(**settings)

        assert gone.offers == goes
        assert listed() == ([] if goes else [("offer", product.id)])

    def test_leaves_what_was_deleted_since_it_was_looked_at(self, offer, add, empty, listed):
        gone = add(make_product(hotmart_id=None, ucode=None, deleted_at=LATER))
        note = add(make_note(offer, deleted_at=LATER))
        add(make_note(offer, deleted_at=NOW))

        assert empty(until=NOW) == Amounts(offers=0, pictures=0, notes=1)

        assert sorted(listed()) == [("note", note.id), ("offer", gone.id)]

    @pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
    def test_leaves_an_offer_whose_cover_is_being_made(self, add, empty, listed, state):
        product = add(make_product(deleted_at=NOW, archived_at=NOW))
        add(make_job(product, state=state))

        assert empty().offers == 0

        assert listed() == [("offer", product.id)]

    def test_lets_nothing_point_at_what_is_gone(self, engine, store, add, empty):
        product = add(make_product())
        first = images.replace_image(
            engine, store, product.id, data=make_picture("red"), by=ANA, now=NOW
        )
        with transaction(engine) as session:
            making = Making(Method.AI_GENERATED, "Ana", job_id="cover-x")
            stored = images.store_picture(store, accept_painting(make_picture("blue")))
            second = images.add_image(
                session, store, product.id, picture=stored, making=making, now=NOW
            )
            session.add(make_job(product, state=JobState.SUCCEEDED, image_id=second.id))
            back = images.revert(session, product.id, first.id, by=ANA, now=NOW)
            images.delete_image(session, product.id, first.id, by=ANA, now=NOW)
            images.delete_image(session, product.id, second.id, by=ANA, now=NOW)

        empty()

        with reading(engine) as session:
            (kept,) = session.exec(select(ProductImage)).all()
            shown = session.get_one(Product, product.id)
            (job,) = session.exec(select(CoverJob)).all()
        assert (kept.id, kept.restored_from_id, job.image_id) == (back.id, None, None)
        assert (shown.current_image_id, shown.image_url) == (back.id, first.image_url)
        assert verify(engine, store).is_well

    def test_keeps_what_was_paid_and_who_did_what(self, engine, add, do, empty):
        product = add(make_product(archived_at=NOW))
        add(make_call(product_id=product.id))
        do(products.delete_product, product.id)

        empty()

        with reading(engine) as session:
            assert [call.product_id for call in session.exec(select(PaidCall))] == [product.id]
            actions = [row.action for row in session.exec(select(Activity))]
        assert actions == ["product_deleted", "trash_emptied"]

    def test_gives_no_number_a_second_time(self, engine, add, do, empty):
        """What was done to the offer that is gone must not be told of another one."""
        product = add(make_product(archived_at=NOW))
        picture, note = make_image(product), make_note(product)
        add(picture, note)
        do(products.delete_product, product.id)
        empty()

        newer = add(make_product())
        add(newer_picture := make_image(newer), newer_note := make_note(newer))

        assert newer.id > product.id
        assert newer_picture.id > picture.id
        assert newer_note.id > note.id
        with reading(engine) as session:
            assert {name for _row, name in list_activity(session, by=BOSS)} == {None}

    def test_removes_no_file(self, engine, store, add, do, empty):
        product = add(make_product(archived_at=NOW))
        images.replace_image(engine, store, product.id, data=make_picture(), by=ANA, now=NOW)
        files = [path.name for path in store.files()]
        do(products.delete_product, product.id)

        empty()

        assert [path.name for path in store.files()] == files

    def test_says_that_what_it_took_can_t_come_back(self, engine, add, do, empty):
        product = add(make_product())
        note, picture = make_note(product, deleted_at=NOW), make_image(product, deleted_at=NOW)
        add(note, picture)
        gone = add(make_product(deleted_at=NOW, archived_at=NOW))
        empty()

        for restore, id_ in (
            (notes.restore_note, note.id),
            (images.restore_image, picture.id),
            (products.restore_product, gone.id),
        ):
            with pytest.raises(NotFoundError, match="no longer"):
                do(restore, id_)


def test_a_backup_holds_the_trash_too(engine, store, tmp_path, add, do):
    product = add(make_product())
    first = images.replace_image(
        engine, store, product.id, data=make_picture("red"), by=ANA, now=NOW
    )
    images.replace_image(engine, store, product.id, data=make_picture("blue"), by=ANA, now=NOW)
    do(images.delete_image, product.id, first.id)
    do(products.delete_product, product.id)
    elsewhere = open_engine(f"sqlite:///{tmp_path}/elsewhere/dashboard.db")
    migrate(elsewhere)
    other_store = open_store((tmp_path / "elsewhere" / "pictures").as_uri())

    backup.back_up(engine, store, tmp_path / "all.zip", now=LATER)
    restored = backup.restore(elsewhere, other_store, tmp_path / "all.zip")

    assert restored == 2
    assert everything(elsewhere) == everything(engine)
    report = verify(elsewhere, other_store)
    assert (report.is_well, report.checked, report.orphans) == (True, 2, [])
    elsewhere.dispose()
