import threading
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlmodel import select

from core import covers, ledger
from core.access import Actor, Role
from core.clients.openai_images import OpenAIImagesPainter
from core.database import migrate, open_engine, reading, transaction
from core.errors import (
    DashboardError,
    ForbiddenError,
    InvalidInputError,
    Problem,
    ServiceError,
)
from core.ledger import CallState
from core.models import JobState, PaidCall
from core.painting import Painting
from core.picture_store import FolderStore, StorageError
from core.settings import read_settings
from tests.builders import ANA, BOSS, NOW, make_call, make_image, make_picture, make_product
from tests.older import make_database
from tests.simulators.openai import FAULTS

LATER = NOW + timedelta(minutes=5)
PICTURE = make_picture()


class CrashError(BaseException):
    """The process ends here, without another word."""


class FullFolder(FolderStore):
    """Takes answers, but no pictures any more."""

    def save(self, name, data, *, again=False):
        raise StorageError("The disk is full.")


class Artist:
    """A painter that bills for each picture, and does as it is told."""

    is_paid = True

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    def paint(self, order):
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else PICTURE
        if isinstance(answer, BaseException):
            raise answer
        return Painting(answer, "m-1", "high", "64x48", Decimal("0.05"))


@pytest.fixture
def paid():
    return read_settings(openai_api_key="key")


@pytest.fixture
def job_id(engine, paid):
    with transaction(engine) as session:
        session.add(product := make_product())
        session.flush()
        return covers.order_cover(session, paid, product.id, prompt="x", by=ANA, now=NOW).id


@pytest.fixture
def paint(engine, store, paid, job_id):
    """Paints the order, as a process does that takes it up."""

    def paint(artist, *, now=NOW, store=store):
        covers.paint_cover(engine, store, artist, paid, job_id, now=now)

    return paint


@pytest.fixture
def calls(engine):
    def calls():
        with reading(engine) as session:
            return session.exec(select(PaidCall).order_by(PaidCall.asked_at, PaidCall.id)).all()

    return calls


@pytest.fixture
def states(calls):
    return lambda: sorted(call.state for call in calls())


class TestACall:
    def test_is_written_down_before_the_service_is_asked(self, paint, calls):
        seen = []

        class Watching(Artist):
            def paint(self, order):
                seen.extend(call.state for call in calls())
                return super().paint(order)

        paint(Watching())

        assert seen == [CallState.ASKED]

    def test_says_what_was_asked_and_what_it_cost(self, paint, calls, job_id):
        paint(Artist())

        (call,) = calls()
        assert (call.state, call.job_id, call.asked_by) == ("charged", job_id, "Ana")
        assert (call.model, call.quality, call.size) == ("m-1", "high", "64x48")
        assert (call.cost_usd, call.asked_at) == (Decimal("0.05"), NOW)
        assert call.estimated_usd > 0
        assert len(call.request_digest) == 64

    def test_of_a_picture_that_can_t_be_used_is_paid_all_the_same(self, paint, calls, store):
        with pytest.raises(ServiceError, match="not a usable picture"):
            paint(Artist(b"GIF89a"))

        assert [(call.state, call.cost_usd) for call in calls()] == [("charged", Decimal("0.05"))]
        assert list((store.folder / "answers").iterdir()) == []

    @pytest.mark.parametrize(
        ("error", "state"),
        [
            (ServiceError("x", problem=Problem.KEY, permanent=True), "free"),
            (ServiceError("x", problem=Problem.RATE, permanent=False), "free"),
            (
                ServiceError("x", problem=Problem.TIMEOUT, permanent=True, may_be_billed=True),
                "unknown",
            ),
            (InvalidInputError("x"), "free"),
            (RuntimeError("a bug"), "unknown"),
        ],
        ids=repr,
    )
    def test_without_a_picture_says_whether_it_may_be_billed(self, paint, calls, error, state):
        with pytest.raises(type(error)):
            paint(Artist(error))

        (call,) = calls()
        assert (call.state, call.cost_usd) == (state, None)
        assert call.problem

    def test_is_not_made_for_a_free_cover(self, engine, store, job_id, calls):
        artist = Artist()
        artist.is_paid = False

        covers.paint_cover(engine, store, artist, read_settings(), job_id, now=NOW)

        assert calls() == []


class TestACrash:
    def test_while_the_service_paints_makes_the_call_unknown_and_asks_once_more(self, paint, calls):
        with pytest.raises(CrashError):
            paint(_Cut(CrashError()))

        artist = Artist()
        paint(artist, now=LATER)

        assert artist.asked == 1
        assert [call.state for call in calls()] == ["unknown", "charged"]

    def test_twice_ends_the_asking(self, paint, states):
        for _ in range(2):
            with pytest.raises(CrashError):
                paint(_Cut(CrashError()))

        artist = Artist()
        for _ in range(3):
            with pytest.raises(DashboardError, match="stopped twice"):
                paint(artist, now=LATER)

        assert artist.asked == 0
        assert states() == ["unknown", "unknown"]

    @pytest.mark.parametrize("moment", ["charge", "accept", "keep picture"])
    def test_after_the_answer_was_kept_pays_no_second_time(
        self, paint, store, states, monkeypatch, moment
    ):
        def crash(*_args, **_named):
            raise CrashError

        places = {
            "charge": "core.ledger.charge",
            "accept": "core.decoding.accept_painting",
            "keep picture": "core.covers.store_picture",
        }
        artist = Artist()
        with monkeypatch.context() as patched:
            patched.setattr(places[moment], crash)
            with pytest.raises(CrashError):
                paint(artist)

        paint(artist, now=LATER)

        assert artist.asked == 1
        assert states() == ["charged"]
        assert list((store.folder / "answers").iterdir()) == []

    def test_leaves_the_cost_that_was_known(self, paint, calls, monkeypatch, engine, store, job_id):
        def crash(*_args, **_named):
            raise CrashError

        with monkeypatch.context() as patched:
            patched.setattr("core.decoding.accept_painting", crash)
            with pytest.raises(CrashError):
                paint(Artist())

        paint(Artist(), now=LATER)

        with transaction(engine) as session:
            covers.attach_cover(session, store, job_id, now=LATER)
        assert calls()[0].cost_usd == Decimal("0.05")


class _Cut(Artist):
    """A painter in whose midst the process ends: nobody is there to write anything down."""

    def paint(self, order):
        self.asked += 1
        raise self.answers[0]


class TestAFullDisk:
    def test_asks_for_nothing_that_could_not_be_kept(self, paint, states, monkeypatch, store):
        monkeypatch.setattr("core.picture_store.LEAST_FREE_BYTES", 2**62)
        artist = Artist()

        with pytest.raises(StorageError, match="nearly full"):
            paint(artist)

        assert artist.asked == 0
        assert states() == []

    def test_harms_no_cover_that_was_painted_before(self, paint, states, monkeypatch):
        paint(Artist())
        monkeypatch.setattr("core.picture_store.LEAST_FREE_BYTES", 2**62)

        paint(Artist())  # the process that takes the order up finds it done

        assert states() == ["charged"]

    def test_after_the_asking_is_paid_and_says_so(self, paint, calls, store, monkeypatch):
        monkeypatch.setattr("core.covers._KEEP_TRYING_S", 0)
        (store.folder / "answers").write_text("in the way")  # no folder can be made here

        with pytest.raises(StorageError):
            paint(Artist())

        assert [(call.state, call.cost_usd) for call in calls()] == [("charged", Decimal("0.05"))]

    def test_that_has_room_again_takes_what_is_paid_for(self, paint, states, store, monkeypatch):
        monkeypatch.setattr("core.covers._KEEP_EVERY_S", 0.05)
        in_the_way = store.folder / "answers"
        in_the_way.write_text("")
        room = threading.Timer(0.3, in_the_way.unlink)
        artist = Artist()

        room.start()
        paint(artist)
        room.join()

        assert artist.asked == 1
        assert states() == ["charged"]


class TestAnotherOrderForTheSamePicture:
    """After one that failed although its picture was paid for."""

    @pytest.fixture
    def order_again(self, engine, paid, job_id):
        def order_again(state):
            with transaction(engine) as session:
                job = covers.get_job(session, job_id)
                job.state = state
                product_id = job.product_id
                return covers.order_cover(
                    session, paid, product_id, prompt="x", by=ANA, now=LATER
                ).id

        return order_again

    @pytest.fixture
    def paid_but_not_finished(self, paint, store, monkeypatch):
        with monkeypatch.context() as full:
            full.setattr("core.covers._KEEP_TRYING_S", 0)
            with pytest.raises(StorageError):
                paint(Artist(), store=FullFolder(store.folder))

    def test_uses_what_was_paid_for(
        self, engine, store, paid, order_again, paid_but_not_finished, calls
    ):
        again, artist = order_again(JobState.FAILED), Artist()

        covers.paint_cover(engine, store, artist, paid, again, now=LATER)

        assert artist.asked == 0
        assert [call.state for call in calls()] == ["charged"]

    def test_pays_when_the_first_was_not_in_vain(
        self, engine, store, paid, order_again, paid_but_not_finished
    ):
        again, artist = order_again(JobState.SUCCEEDED), Artist()

        covers.paint_cover(engine, store, artist, paid, again, now=LATER)

        assert artist.asked == 1


class TestSpending:
    def test_tells_what_is_sure_from_what_may_be(self, engine):
        with transaction(engine) as session:
            session.add_all(
                [
                    make_call(cost_usd=Decimal("0.10"), estimated_usd=Decimal("9")),
                    make_call(estimated_usd=Decimal("0.20")),  # charged, at a price not known
                    make_call(state=CallState.UNKNOWN, estimated_usd=Decimal("0.03")),
                    make_call(state=CallState.ASKED, estimated_usd=Decimal("0.04")),
                    make_call(state=CallState.FREE, estimated_usd=Decimal("5")),
                    make_call(cost_usd=Decimal("7"), asked_at=NOW - timedelta(seconds=1)),
                    make_call(state=CallState.UNKNOWN),
                ]
            )

        with reading(engine) as session:
            spending = ledger.spending_since(session, NOW)
            later = ledger.spending_since(session, LATER)

        assert spending.charged == pytest.approx(Decimal("0.30"))
        assert (spending.unknown, spending.under_way) == (Decimal("0.03"), Decimal("0.04"))
        assert spending.total == pytest.approx(Decimal("0.37"))
        assert later.total == 0

    def test_is_listed_for_admins_only(self, engine):
        with transaction(engine) as session:
            session.add_all([make_call(), make_call(asked_at=LATER)])

        with reading(engine) as session:
            listed = ledger.list_calls(session, by=BOSS)
            for role in (Role.VIEWER, Role.EDITOR):
                with pytest.raises(ForbiddenError):
                    ledger.list_calls(session, by=Actor("x", role))

        assert [call.asked_at for call in listed] == [LATER, NOW]


class TestTheBill:
    """What the service bills is what the ledger has as charged, or as maybe billed."""

    @pytest.mark.parametrize("fault", FAULTS)
    def test_holds_whatever_goes_wrong(self, engine, store, paid, openai, job_id, fault, calls):
        painter = OpenAIImagesPainter(
            openai.key,
            openai.url,
            "gpt-image-1-mini",
            "low",
            "auto",
            timeout=0.5,
            sleep=lambda _seconds: None,
        )
        openai.fail(fault, None)

        with suppress(DashboardError):
            covers.paint_cover(engine, store, painter, paid, job_id, now=NOW)

        (call,) = calls()
        assert openai.bill in {"free": [0], "charged": [1], "unknown": [0, 1]}[call.state]


class TestAnUpgrade:
    def test_takes_over_what_pictures_have_cost_so_far(self, tmp_path):
        engine = open_engine(f"sqlite:///{tmp_path / 'old.db'}")
        price = {"cost_usd": Decimal("0.25")}
        make_database(  # as it was before there was a ledger
            engine,
            "0003",
            product := make_product(id=1),
            make_image(product, id=1, created_by=None, **price),
            make_image(product, id=2, cost_usd=None),
            make_image(product, id=3, restored_from_id=1, **price),
        )

        migrate(engine)

        with reading(engine) as session:
            calls = session.exec(select(PaidCall)).all()
            assert ledger.spending_since(session, NOW).total == Decimal("0.25")
        engine.dispose()
        assert [(call.state, call.asked_at, call.asked_by) for call in calls] == [
            ("charged", NOW, "")
        ]
