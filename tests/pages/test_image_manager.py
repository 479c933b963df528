from datetime import timedelta
from decimal import Decimal

import pytest

from core.database import reading, transaction
from core.images import history
from core.models import JobState, Method, Product
from tests.builders import NOW, make_image, make_job, make_picture, make_product
from tests.pages.hostile import NAMES


@pytest.fixture
def offer(dashboard) -> Product:
    """An offer with two pictures; the newer one is shown."""
    product = make_product(name="Piano", producer_name="Keys")
    dashboard.save(product)
    first = make_image(product, generation_method=Method.TEMPLATE, created_by="sync")
    second = make_image(
        product,
        generation_method=Method.AI_GENERATED,
        prompt="A piano **by the sea**",
        model="gpt-image-2.5-flare",
        quality="medium",
        cost_usd=Decimal("0.034"),
        created_at=NOW + timedelta(hours=1),
        created_by="local",
    )
    with transaction(dashboard.app.engine) as session:
        session.add(first)
        session.flush()
        session.add(second)
        session.flush()
        saved = session.get_one(Product, product.id)
        saved.image_url, saved.current_image_id = second.image_url, second.id
    return product


class TestChoosing:
    def test_a_link_opens_the_offer(self, dashboard, offer):
        dashboard.open("image_manager", product=str(offer.id))

        assert "Piano" in dashboard.said()
        assert [heading.value for heading in dashboard.at.subheader] == ["History"]

    def test_without_a_link_one_is_asked_to_choose(self, dashboard, offer):
        dashboard.open("image_manager")

        assert "Choose an offer" in dashboard.said()

    @pytest.mark.parametrize("number", ["9999", "0", "-1", "x", "²", "9" * 30, "1 OR 1=1"])
    def test_a_link_to_no_offer_says_so(self, dashboard, offer, number):
        dashboard.open("image_manager", product=number)

        assert "This offer is no longer here." in dashboard.said()

    def test_choosing_goes_into_the_address(self, dashboard, offer):
        other = make_product(name="Guitar")
        dashboard.save(other)
        at = dashboard.open("image_manager")

        at.selectbox[0].set_value(other.id)
        dashboard.run()

        assert dashboard.address() == {"product": str(other.id)}
        assert "This offer has no picture yet." in dashboard.said()

    def test_a_search_narrows_the_choice(self, dashboard, offer):
        dashboard.save(make_product(name="Violão"))

        at = dashboard.open("image_manager", find="violao")

        assert at.selectbox[0].options == ["Violão"]

    def test_another_offer_after_one_was_chosen(self, dashboard, offer):
        other = make_product(name="Guitar")
        dashboard.save(other)
        at = dashboard.open("image_manager", product=str(offer.id))

        at.selectbox[0].set_value(other.id)
        at = dashboard.run()

        assert dashboard.address() == {"product": str(other.id)}
        assert at.selectbox[0].value == other.id

    @pytest.mark.parametrize("name", NAMES)
    def test_a_name_from_outside_shows_as_it_is(self, dashboard, name):
        product = make_product(name=name, producer_name=name)
        dashboard.save(product)

        at = dashboard.open("image_manager", product=str(product.id))

        assert name in [text.value for text in at.text]
        assert at.selectbox[0].options == [name]
        assert name not in "".join(e.value for e in [*at.markdown, *at.caption]) or not name.strip()


class TestHistory:
    def test_tells_how_each_picture_came_to_be(self, dashboard, offer):
        dashboard.open("image_manager", product=str(offer.id))

        said = dashboard.said()
        for part in (
            "2. AI cover",
            "1. Built-in cover",
            "gpt-image-2.5-flare · medium · US$ 0.034 · You",
            "Automatic",
            "A piano **by the sea**",
        ):
            assert part in said

    def test_reverts_to_an_earlier_picture(self, dashboard, offer):
        with reading(dashboard.app.engine) as session:
            newer, older = history(session, offer.id)
        dashboard.open("image_manager", product=str(offer.id))

        dashboard.press(f"revert-{older.id}")

        with reading(dashboard.app.engine) as session:
            rows = history(session, offer.id)
            assert session.get_one(Product, offer.id).image_url == older.image_url
        assert [row.id for row in rows[1:]] == [newer.id, older.id]
        assert rows[0].restored_from_id == older.id
        assert "3. Restored" in dashboard.said()

    def test_compares_two_pictures(self, dashboard, offer):
        at = dashboard.open("image_manager", product=str(offer.id))
        before = len(at.image)

        at.multiselect[0].set_value(at.multiselect[0].proto.options and _both(dashboard, offer))
        at = dashboard.run()

        assert len(at.image) == before + 2


def _both(dashboard, offer) -> list[int]:
    with reading(dashboard.app.engine) as session:
        return [row.id for row in history(session, offer.id)]


class TestUploading:
    def test_a_picture_replaces_the_shown_one(self, dashboard, offer):
        at = dashboard.open("image_manager", product=str(offer.id))

        at.file_uploader[0].set_value(("mine.png", make_picture(), "image/png"))
        dashboard.run()

        with reading(dashboard.app.engine) as session:
            rows = history(session, offer.id)
            assert session.get_one(Product, offer.id).current_image_id == rows[0].id
        assert len(rows) == 3
        assert rows[0].generation_method == Method.MANUAL_UPLOAD
        assert dashboard.app.store.exists(rows[0].image_url.rpartition("/")[2])

    def test_a_rerun_does_not_take_the_same_file_again(self, dashboard, offer):
        at = dashboard.open("image_manager", product=str(offer.id))
        at.file_uploader[0].set_value(("mine.png", make_picture(), "image/png"))
        dashboard.run()

        dashboard.run()

        assert len(_both(dashboard, offer)) == 3

    @pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n", make_picture()[:90]])
    def test_a_bad_file_is_refused_with_a_sentence(self, dashboard, offer, data):
        at = dashboard.open("image_manager", product=str(offer.id))

        at.file_uploader[0].set_value(("mine.png", data, "image/png"))
        at = dashboard.run()

        assert len(at.error) == 1
        assert len(_both(dashboard, offer)) == 2


class TestNewestOrder:
    def give_job(self, dashboard, offer, **changes) -> None:
        job = make_job(offer, **changes)
        with transaction(dashboard.app.engine) as session:
            session.add(job)
            session.get_one(Product, offer.id).cover_job_id = job.id

    def test_under_way_is_shown(self, dashboard, offer):
        self.give_job(dashboard, offer, state=JobState.QUEUED)

        at = dashboard.open("image_manager", product=str(offer.id))

        assert any("The cover is being made" in element.body for element in at.html)

    def test_failed_says_why_and_can_be_tried_again(self, dashboard, offer):
        self.give_job(dashboard, offer, state=JobState.FAILED, error="No *credit*.", prompt="Cats")
        dashboard.open("image_manager", product=str(offer.id))
        assert "The newest cover was not made. No *credit*." in dashboard.said()

        dashboard.press(f"panel-retry-{offer.id}")

        assert dashboard.orders == [("cover", offer.id, "Cats")]


class TestGenerating:
    def test_with_an_image_service_shows_the_prompt_and_the_price(self, dashboard_of):
        dashboard = dashboard_of(openai_api_key="sk-x")
        product = make_product(name="Piano")
        dashboard.save(product)

        at = dashboard.open("image_manager", product=str(product.id))

        assert 'Title of the product: "Piano"' in at.text_area(key=f"prompt-{product.id}").value
        assert "Costs about US$ 0." in dashboard.said()

    def test_an_empty_prompt_is_refused(self, dashboard_of):
        dashboard = dashboard_of(openai_api_key="sk-x")
        product = make_product()
        dashboard.save(product)
        at = dashboard.open("image_manager", product=str(product.id))

        at.text_area(key=f"prompt-{product.id}").set_value("   ")
        dashboard.press(f"generate-{product.id}")

        assert "The prompt is empty." in dashboard.said()
        assert dashboard.orders == []

    def test_a_price_that_nobody_knows_is_not_made_up(self, dashboard_of):
        dashboard = dashboard_of(
            openai_api_key="x", openai_base_url="http://127.0.0.1:9/v1", image_model="my-model"
        )
        product = make_product()
        dashboard.save(product)

        dashboard.open("image_manager", product=str(product.id))

        assert "Its price is not known here." in dashboard.said()
