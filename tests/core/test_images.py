import hashlib
from datetime import timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from PIL import Image
from sqlmodel import select

from core import images
from core.access import Actor, Role
from core.database import reading, transaction
from core.errors import InvalidInputError, NotFoundError
from core.images import PICTURES_PATH, Making
from core.models import Method, Product, ProductImage
from core.pictures import accept_painting
from tests.builders import ANA, NOW, make_image, make_picture, make_product

LATER = NOW + timedelta(hours=1)
UPLOAD = Making(Method.MANUAL_UPLOAD, "Ana")

BEN = Actor("Ben", Role.EDITOR)


@pytest.fixture
def product(engine):
    with transaction(engine) as session:
        product = make_product()
        session.add(product)
    return product


@pytest.fixture
def replace(engine, store, product):
    """Uploads a picture for the product."""

    def replace(data, **changes):
        boring = {"data": data, "by": ANA, "now": NOW}
        return images.replace_image(engine, store, product.id, **boring | changes)

    return replace


@pytest.fixture
def revert(engine, product):
    """Returns the product to an earlier picture."""

    def revert(image_id, **changes):
        with transaction(engine) as session:
            boring = {"by": BEN, "now": LATER}
            return images.revert(session, product.id, image_id, **boring | changes)

    return revert


@pytest.fixture
def history(engine, product):
    def history():
        with reading(engine) as session:
            return images.history(session, product.id)

    return history


@pytest.fixture
def current(engine, product):
    """Returns the picture that the product shows."""

    def current():
        with reading(engine) as session:
            row = session.get(Product, product.id)
            return row.image_url, row.current_image_id

    return current


def files_in(store):
    return sorted(path.name for path in store.folder.rglob("*") if path.is_file())


class TestReplaceImage:
    def test_shows_the_picture_and_tells_all_about_it(self, store, product, replace, current):
        image = replace(make_picture(size=(640, 480)))

        data = store.read(image.image_url.removeprefix(PICTURES_PATH))
        assert current() == (image.image_url, image.id)
        assert (image.width, image.height, image.media_type) == (640, 480, "image/png")
        assert (image.byte_size, image.digest) == (len(data), hashlib.sha256(data).hexdigest())
        assert (image.generation_method, image.created_by) == ("manual_upload", "Ana")
        assert (image.created_at, image.product_id) == (NOW, product.id)
        assert image.cost_usd is image.prompt is image.job_id is None

    def test_keeps_a_thumbnail_beside_it(self, store, replace):
        image = replace(make_picture(size=(1200, 900)))

        small = store.read(images.thumbnail_url(image.image_url).removeprefix(PICTURES_PATH))
        with Image.open(BytesIO(small)) as thumbnail:
            assert (thumbnail.format, thumbnail.size) == ("WEBP", (400, 300))

    def test_keeps_the_old_one_in_the_history(self, store, replace, history, current):
        old = replace(make_picture("red"))
        new = replace(make_picture("blue"), now=LATER)

        assert [row.id for row in history()] == [new.id, old.id]
        assert history()[1].model_dump() == old.model_dump()
        assert store.exists(old.image_url.removeprefix(PICTURES_PATH))
        assert current() == (new.image_url, new.id)

    def test_with_the_same_file_adds_a_row_and_no_file(self, store, replace, history):
        first = replace(make_picture())
        files = files_in(store)

        second = replace(make_picture())

        assert second.image_url == first.image_url
        assert len(history()) == 2
        assert files_in(store) == files

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"<html>hello</html>",
            b"\x89PNG\r\n\x1a\n" + bytes(50),
            make_picture(size=(400, 400), kind="JPEG")[:-200],
            b"%PDF-1.7",
            bytes(20 * 1024 * 1024 + 1),
        ],
        ids=["nothing", "page", "broken", "cut off", "pdf", "too large"],
    )
    def test_refuses_what_is_no_picture_and_changes_nothing(
        self, store, replace, history, current, data
    ):
        kept = replace(make_picture())
        files = files_in(store)

        with pytest.raises(InvalidInputError, match=r"\.$"):
            replace(data)

        assert [row.id for row in history()] == [kept.id]
        assert current() == (kept.image_url, kept.id)
        assert files_in(store) == files

    def test_refuses_an_offer_that_is_gone(self, engine, store):
        with pytest.raises(NotFoundError, match="no longer here"):
            images.replace_image(engine, store, 404, data=make_picture(), by=ANA, now=NOW)

        with reading(engine) as session:
            assert session.exec(select(ProductImage)).all() == []

    def test_shows_nothing_that_the_disk_did_not_take(
        self, store, replace, history, current, monkeypatch
    ):
        def full(*_arguments):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("core.picture_store._write_whole", full)

        with pytest.raises(Exception, match="disk is full"):
            replace(make_picture())

        assert history() == []
        assert current() == (None, None)


class TestAddImage:
    @pytest.fixture
    def add(self, engine, store, product):
        def add(colour, **arguments):
            stored = images.store_picture(store, accept_painting(make_picture(colour)))
            with transaction(engine) as session:
                return images.add_image(
                    session,
                    store,
                    product.id,
                    **{"picture": stored, "making": UPLOAD, "now": NOW} | arguments,
                )

        return add

    def test_keeps_how_the_picture_came_to_be(self, add, history):
        making = Making(
            Method.AI_GENERATED,
            "sync",
            prompt="a red guitar",
            model="m",
            quality="high",
            size="1024x1536",
            cost_usd=Decimal("0.0134"),
            job_id="cover-1",
        )

        add("red", making=making)

        (row,) = history()
        assert (row.generation_method, row.created_by, row.prompt) == (
            "ai_generated",
            "sync",
            "a red guitar",
        )
        assert (row.model, row.quality, row.size) == ("m", "high", "1024x1536")
        assert (row.cost_usd, row.job_id) == (Decimal("0.0134"), "cover-1")

    def test_shows_a_first_picture(self, add, current):
        image = add("red", only_if_first=True)

        assert current() == (image.image_url, image.id)

    def test_lets_a_first_picture_displace_no_other(self, add, current, history):
        shown = add("red")

        late = add("blue", only_if_first=True)

        assert current() == (shown.image_url, shown.id)
        assert [row.id for row in history()] == [late.id, shown.id]

    def test_never_takes_two_of_one_job(self, add, history):
        making = Making(Method.AI_GENERATED, "sync", job_id="cover-1")
        add("red", making=making)

        with pytest.raises(Exception, match="job_id"):
            add("blue", making=making)

        assert len(history()) == 1


class TestRevert:
    def test_adds_a_row_that_points_at_the_earlier_one(self, replace, revert, history, current):
        old, newer = replace(make_picture("red")), replace(make_picture("blue"))

        again = revert(old.id)

        assert [row.id for row in history()] == [again.id, newer.id, old.id]
        assert current() == (old.image_url, again.id)
        assert again.restored_from_id == old.id
        assert (again.generation_method, again.created_by) == ("reverted", "Ben")
        assert again.created_at == LATER

    def test_leaves_the_earlier_rows_as_they_were(self, replace, revert, history):
        old, newer = replace(make_picture("red")), replace(make_picture("blue"))

        revert(old.id)

        assert [row.model_dump() for row in history()[1:]] == [newer.model_dump(), old.model_dump()]

    def test_tells_of_the_picture_but_not_its_cost_again(self, engine, product, replace, revert):
        with transaction(engine) as session:
            painted = make_image(
                product, prompt="a red guitar", model="m", cost_usd=Decimal(1), job_id="cover-1"
            )
            session.add(painted)
        replace(make_picture())

        again = revert(painted.id)

        assert (again.prompt, again.model, again.digest) == ("a red guitar", "m", painted.digest)
        assert again.cost_usd is again.job_id is None

    def test_to_the_picture_that_is_shown_adds_nothing(self, replace, revert, history, current):
        image = replace(make_picture())

        assert revert(image.id).id == image.id

        assert len(history()) == 1
        assert current() == (image.image_url, image.id)

    def test_can_be_reverted_in_turn(self, replace, revert, current, history):
        first, second = replace(make_picture("red")), replace(make_picture("blue"))

        revert(first.id)
        last = revert(second.id)

        assert current() == (second.image_url, last.id)
        assert len(history()) == 4

    def test_refuses_a_picture_of_another_offer(self, engine, replace, revert, history, current):
        mine = replace(make_picture())
        with transaction(engine) as session:
            other = make_product()
            session.add(other)
            session.flush()
            theirs = make_image(other)
            session.add(theirs)

        for image_id in (theirs.id, 404):
            with pytest.raises(NotFoundError, match="no such picture in its history"):
                revert(image_id)

        assert len(history()) == 1
        assert current() == (mine.image_url, mine.id)

    def test_refuses_an_offer_that_is_gone(self, engine):
        with pytest.raises(NotFoundError, match="no longer here"), transaction(engine) as session:
            images.revert(session, 404, 1, by=ANA, now=NOW)


class TestHistory:
    def test_of_an_offer_without_pictures_is_empty(self, history):
        assert history() == []

    def test_is_of_one_offer_only(self, engine, replace, history):
        replace(make_picture())
        with transaction(engine) as session:
            other = make_product()
            session.add(other)
            session.flush()
            session.add(make_image(other))

        assert len(history()) == 1


class TestThumbnailUrl:
    @pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif", "avif"])
    def test_is_that_of_the_small_rendition(self, ending):
        digest = "ab" * 32

        assert (
            images.thumbnail_url(f"{PICTURES_PATH}{digest}.{ending}")
            == f"{PICTURES_PATH}{digest}-400.webp"
        )
