from datetime import timedelta

import pytest

from core.access import Role
from core.database import reading, transaction
from core.models import Origin, Product, ProductImage, ProductNote
from core.products import delete_product, restore_product
from tests.builders import ANA, NOW, make_image, make_note, make_product
from tests.pages.hostile import NAMES


@pytest.fixture
def offer(dashboard) -> Product:
    """An offer with an earlier and a current picture, and a note."""
    product = make_product(name="Piano")
    dashboard.save(product)
    earlier, current = make_image(product), make_image(product)
    dashboard.save(earlier)
    dashboard.save(current, make_note(product, note="Sells in March"))
    product.current_image_id, product.image_url = current.id, current.image_url
    dashboard.save(product)
    return product


def left(dashboard, table) -> list[int]:
    with reading(dashboard.app.engine) as session:
        return sorted(session.scalars(table.__table__.select().with_only_columns(table.id)))


def buttons(dashboard) -> set[str]:
    return {button.key for button in dashboard.at.button}


class TestDeleting:
    def test_an_offer_takes_it_off_the_page_and_undo_brings_it_back(self, dashboard, offer):
        dashboard.open()
        dashboard.press(f"manage-{offer.id}")

        dashboard.press(f"delete-offer-{offer.id}")
        assert dashboard.names() == []
        assert "The offer is in the trash." in dashboard.said()

        dashboard.press("undo-delete")
        assert dashboard.names() == ["Piano"]
        assert "undo-delete" not in buttons(dashboard)

    def test_an_offer_in_the_image_manager_leaves_its_address(self, dashboard, offer):
        dashboard.open("image_manager", product=str(offer.id))

        dashboard.press(f"delete-offer-{offer.id}")

        assert dashboard.address() == {}
        assert "The offer is in the trash." in dashboard.said()
        assert not dashboard.at.error

    def test_a_picture_takes_it_out_of_the_history_and_undo_brings_it_back(self, dashboard, offer):
        dashboard.open("image_manager", product=str(offer.id))
        chosen = dashboard.at.multiselect[0]
        chosen.set_value([1, 2])
        dashboard.run()

        dashboard.press("delete-image-1")
        assert "revert-1" not in buttons(dashboard)
        assert "The picture is in the trash." in dashboard.said()

        dashboard.press("undo-delete")
        assert "revert-1" in buttons(dashboard)

    def test_is_not_offered_for_the_current_picture(self, dashboard, offer):
        dashboard.open("image_manager", product=str(offer.id))

        assert f"delete-image-{offer.current_image_id}" not in buttons(dashboard)

    def test_an_offer_that_somebody_else_looks_at_tells_them(self, dashboard, offer):
        dashboard.open("image_manager", product=str(offer.id))
        with transaction(dashboard.app.engine) as session:
            delete_product(session, offer.id, by=ANA, now=NOW)

        dashboard.press("revert-1")

        assert "This offer is in the trash." in dashboard.said()

    def test_an_offer_loses_no_word_of_a_note_that_is_being_edited(self, dashboard, offer):
        dashboard.open("notes")
        dashboard.press("edit-1")
        dashboard.at.text_area(key="text-1").set_value("Long thoughts")
        with transaction(dashboard.app.engine) as session:
            delete_product(session, offer.id, by=ANA, now=NOW)
        dashboard.run()
        dashboard.press("revive-1")
        assert "This offer is in the trash." in dashboard.said()
        with transaction(dashboard.app.engine) as session:
            restore_product(session, offer.id, by=ANA, now=NOW)

        dashboard.run()
        dashboard.press("save-1")

        with reading(dashboard.app.engine) as session:
            assert session.get_one(ProductNote, 1).note == "Long thoughts"


class TestTheTrash:
    def test_that_is_empty_says_what_goes_there(self, dashboard):
        dashboard.open("trash")

        assert "The trash is empty." in dashboard.said()
        assert "empty-trash" not in buttons(dashboard)

    @pytest.mark.parametrize("name", NAMES)
    def test_shows_text_from_outside_as_it_is(self, dashboard, name):
        product = make_product(name=name, deleted_at=NOW)
        dashboard.save(product)
        dashboard.save(make_note(product, note="![x](http://evil.test/p.gif)", deleted_at=NOW))

        at = dashboard.open("trash")

        assert [text.value for text in at.text].count(name) == 2
        assert not any("![" in markdown.value for markdown in at.markdown)
        assert not any(markdown.allow_html for markdown in at.markdown)

    def test_brings_each_thing_back(self, dashboard, offer):
        gone = make_product(name="Organ", deleted_at=NOW)
        dashboard.save(gone, make_image(offer, deleted_at=NOW), make_note(offer, deleted_at=NOW))
        dashboard.open("trash")

        for key in (f"restore-offer-{gone.id}", "restore-picture-3", "restore-note-2"):
            dashboard.press(key)

        assert "The trash is empty." in dashboard.said()
        for table, id_ in ((Product, gone.id), (ProductImage, 3), (ProductNote, 2)):
            with reading(dashboard.app.engine) as session:
                assert session.get_one(table, id_).deleted_at is None

    def test_brings_nothing_back_before_its_offer(self, dashboard):
        product = make_product(deleted_at=NOW)
        dashboard.save(product)
        dashboard.save(make_note(product, deleted_at=NOW))

        dashboard.open("trash")

        assert "Bring that back first." in dashboard.said()
        assert "restore-note-1" not in buttons(dashboard)

    def test_comes_in_pages(self, dashboard, offer):
        times = [NOW + timedelta(minutes=number) for number in range(25)]
        dashboard.save(*[make_note(offer, deleted_at=time) for time in times])

        dashboard.open("trash", trash_page="2")

        assert "25 things in the trash" in dashboard.said()
        assert len([key for key in buttons(dashboard) if key.startswith("restore-note-")]) == 5

    def test_is_no_page_for_viewers(self, dashboard, offer):
        dashboard.save(make_note(offer, note="Secret", deleted_at=NOW))
        dashboard.become(Role.VIEWER)

        dashboard.open("trash")

        assert "The role viewer may not do this" in dashboard.said()
        assert dashboard.at.markdown.len == 0


class TestEmptying:
    def test_says_how_much_goes_before_it_does(self, dashboard, offer):
        gone = make_product(origin=Origin.MANUAL, hotmart_id=None, ucode=None, deleted_at=NOW)
        dashboard.save(gone, make_image(offer, deleted_at=NOW), make_note(offer, deleted_at=NOW))
        dashboard.open("trash")

        dashboard.press("empty-trash")
        assert "1 offer, 1 picture, 1 note" in dashboard.said()
        assert left(dashboard, Product) == [offer.id, gone.id]

        dashboard.press("empty-trash-now")
        assert "The trash is empty." in dashboard.said()
        assert left(dashboard, Product) == [offer.id]
        assert left(dashboard, ProductImage) == [1, 2]
        assert left(dashboard, ProductNote) == [1]

    def test_can_be_thought_better_of(self, dashboard, offer):
        dashboard.save(make_note(offer, deleted_at=NOW))
        dashboard.open("trash")

        dashboard.press("empty-trash")
        dashboard.press("empty-trash-cancel")

        assert left(dashboard, ProductNote) == [1, 2]
        assert "empty-trash-now" not in buttons(dashboard)

    def test_says_which_offers_stay_and_why(self, dashboard):
        dashboard.save(make_product(deleted_at=NOW))

        dashboard.open("trash")

        assert (
            "1 offer stays here when the trash is emptied: it is still listed" in dashboard.said()
        )
        assert "empty-trash" not in buttons(dashboard)  # nothing would go
