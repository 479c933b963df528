"""Who did what: one table of every function that changes something for somebody."""

import inspect
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlmodel import select

from core import (
    activity,
    checks,
    covers,
    images,
    notes,
    orphans,
    people,
    products,
    sync,
    tokens,
    trash,
)
from core.access import Actor, Role
from core.activity import Action, list_activity, record
from core.database import reading, transaction
from core.errors import ForbiddenError, NotFoundError
from core.models import Activity, Origin, Person
from core.settings import read_settings
from tests import contents
from tests.builders import (
    ANA,
    BOSS,
    NOW,
    make_image,
    make_note,
    make_picture,
    make_product,
)

EVA = "eva@example.com"
LATER = NOW + timedelta(hours=1)


@dataclass(frozen=True)
class Change:
    """One function, how it is called, whom it needs, and what is written down of it."""

    call: Any
    needs: Role
    action: Action
    product: bool = False
    detail: str | None = None


def by_editor(call, action, *, product=True, detail=None):
    return Change(call, Role.EDITOR, action, product, detail)


def by_admin(call, action, *, detail=None):
    return Change(call, Role.ADMIN, action, False, detail)


CHANGES = {
    "notes.add_note": by_editor(
        lambda s, at, **by: notes.add_note(s, at.product, text="Sells", **by), Action.NOTE_ADDED
    ),
    "notes.edit_note": by_editor(
        lambda s, at, **by: notes.edit_note(s, at.note, text="Sells", **by), Action.NOTE_CHANGED
    ),
    "notes.pin_note": by_editor(
        lambda s, at, **by: notes.pin_note(s, at.note, pinned=True, **by), Action.NOTE_PINNED
    ),
    "notes.pin_note, to unpin": by_editor(
        lambda s, at, **by: notes.pin_note(s, at.pinned, pinned=False, **by), Action.NOTE_UNPINNED
    ),
    "notes.delete_note": by_editor(
        lambda s, at, **by: notes.delete_note(s, at.note, **by), Action.NOTE_DELETED
    ),
    "notes.restore_note": by_editor(
        lambda s, at, **by: notes.restore_note(s, at.deleted, **by), Action.NOTE_RESTORED
    ),
    "images.replace_image": by_editor(
        lambda s, at, **by: images.replace_image(
            at.engine, at.store, at.product, data=make_picture("red"), **by
        ),
        Action.IMAGE_REPLACED,
    ),
    "images.revert": by_editor(
        lambda s, at, **by: images.revert(s, at.product, at.image, **by), Action.IMAGE_REVERTED
    ),
    "images.delete_image": by_editor(
        lambda s, at, **by: images.delete_image(s, at.product, at.image, **by),
        Action.IMAGE_DELETED,
    ),
    "images.restore_image": by_editor(
        lambda s, at, **by: images.restore_image(s, at.deleted_image, **by),
        Action.IMAGE_RESTORED,
    ),
    "checks.start_check": by_admin(
        lambda s, at, **by: checks.start_check(s, **by), Action.PICTURES_CHECKED, detail="1"
    ),
    "orphans.remove_orphans": by_admin(
        lambda s, at, **by: orphans.remove_orphans(at.engine, at.store, **by),
        Action.ORPHANS_REMOVED,
        detail="1",
    ),
    "covers.order_cover": by_editor(
        lambda s, at, **by: covers.order_cover(s, at.settings, at.product, prompt="A boat", **by),
        Action.COVER_ORDERED,
    ),
    "covers.order_first_covers": by_editor(
        lambda s, at, **by: covers.order_first_covers(s, at.settings, [at.product], **by),
        Action.COVERS_ORDERED,
        product=False,
        detail="1",
    ),
    "products.add_product": Change(
        lambda s, at, **by: products.add_product(s, {"name": "Yoga"}, **by),
        Role.EDITOR,
        Action.PRODUCT_ADDED,
        detail="Yoga",
    ),
    "products.change_product": by_editor(
        lambda s, at, **by: products.change_product(s, at.product, {"language": "pt"}, **by),
        Action.PRODUCT_CHANGED,
        detail="language",
    ),
    "products.delete_product": by_editor(
        lambda s, at, **by: products.delete_product(s, at.product, **by),
        Action.PRODUCT_DELETED,
    ),
    "products.restore_product": by_editor(
        lambda s, at, **by: products.restore_product(s, at.deleted_product, **by),
        Action.PRODUCT_RESTORED,
        product=False,
        detail="Gone",
    ),
    "trash.empty_trash": by_admin(
        lambda s, at, **by: trash.empty_trash(s, at.settings, until=NOW, **by),
        Action.TRASH_EMPTIED,
        detail="offers 1, pictures 1, notes 1",
    ),
    "products.archive_samples": by_editor(
        lambda s, at, **by: products.archive_samples(s, **by),
        Action.SAMPLES_ARCHIVED,
        product=False,
    ),
    "sync.start_run": by_editor(
        lambda s, at, **by: sync.start_run(s, trigger=sync.Trigger.BUTTON, **by),
        Action.SYNC_STARTED,
        product=False,
    ),
    "tokens.create_token": by_admin(
        lambda s, at, **by: tokens.create_token(s, name="Zapier", role=Role.VIEWER, **by),
        Action.TOKEN_CREATED,
    ),
    "tokens.revoke_token": by_admin(
        lambda s, at, **by: tokens.revoke_token(s, at.token, **by), Action.TOKEN_REVOKED
    ),
    "people.set_person": by_admin(
        lambda s, at, **by: people.set_person(s, at.settings, "new@example.com", "viewer", **by),
        Action.PERSON_ADDED,
        detail="new@example.com: viewer",
    ),
    "people.set_person, to change": by_admin(
        lambda s, at, **by: people.set_person(s, at.settings, "rui@example.com", "admin", **by),
        Action.PERSON_CHANGED,
        detail="rui@example.com: admin",
    ),
    "people.remove_person": by_admin(
        lambda s, at, **by: people.remove_person(s, at.person, **by),
        Action.PERSON_REMOVED,
        detail="rui@example.com",
    ),
    "people.sign_out_everywhere": by_admin(
        lambda s, at, **by: people.sign_out_everywhere(s, "rui@example.com", **by),
        Action.SIGNED_OUT_EVERYWHERE,
        detail="rui@example.com",
    ),
}
WITH_FILES = {"images.replace_image", "orphans.remove_orphans"}
"""What changes files too, and so has transactions of its own."""
ONLY_LOOK = {
    "activity.list_activity",
    "people.list_people",
    "people.list_visitors",
    "tokens.list_tokens",
    "trash.list_trash",
}
each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


@pytest.fixture
def place(engine, store):
    """Something of everything, so that each change has something to change."""
    with transaction(engine) as session:
        product, sample = make_product(), make_product(origin=Origin.SAMPLE)
        deleted_product = make_product(name="Gone", archived_at=NOW, deleted_at=NOW)
        session.add_all([product, sample, deleted_product])
        session.flush()
        first, second = make_image(product), make_image(product)
        note, pinned = make_note(product), make_note(product, pinned=True)
        deleted, deleted_image = (make(product, deleted_at=NOW) for make in (make_note, make_image))
        person = Person(pattern="rui@example.com", role="viewer", created_by="x", created_at=NOW)
        session.add_all([first, second, note, pinned, deleted, deleted_image, person])
        session.flush()
        product.image_url, product.current_image_id = second.image_url, second.id
        token, _secret = tokens.create_token(
            session, name="old", role=Role.VIEWER, by=BOSS, now=NOW
        )
    leftover = store.folder / ".0123456789abcdef.part"
    leftover.touch()
    os.utime(leftover, (0, 0))
    return SimpleNamespace(
        engine=engine,
        store=store,
        settings=read_settings(),
        product=product.id,
        image=first.id,
        note=note.id,
        pinned=pinned.id,
        deleted=deleted.id,
        deleted_image=deleted_image.id,
        deleted_product=deleted_product.id,
        person=person.id,
        token=token.id,
    )


@pytest.fixture
def everything(engine, tmp_path):
    """Returns all rows of all tables, and all names of picture files."""

    def everything():
        return contents.everything(engine), sorted((tmp_path / "pictures").rglob("*"))

    return everything


@pytest.fixture
def recorded(engine):
    """Returns what was written down, oldest first, but for what ``place`` did."""

    def recorded():
        with reading(engine) as session:
            rows = session.exec(select(Activity).order_by(Activity.id)).all()
            return [row for row in rows if row.at != NOW]

    return recorded


class TestEveryChange:
    @each_change
    def test_is_written_down_with_who_made_it(self, engine, place, recorded, change):
        by = Actor(EVA, Role.ADMIN)

        with transaction(engine) as session:
            change.call(session, place, by=by, now=LATER)

        (row,) = recorded()
        assert (row.actor, row.action, row.at) == (EVA, change.action, LATER)
        if change.product:
            assert row.product_id == place.product
        if change.detail is not None:
            assert row.detail == change.detail

    @each_change
    def test_by_role(self, engine, place, everything, change):
        for role in Role:
            by = Actor(EVA, role)
            before = everything()

            if role.includes(change.needs):
                with transaction(engine) as session:
                    change.call(session, place, by=by, now=LATER)
                    session.rollback()
                continue
            with (
                pytest.raises(ForbiddenError, match=f"{change.needs} is needed"),
                transaction(engine) as session,
            ):
                change.call(session, place, by=by, now=LATER)

            assert everything() == before

    @pytest.mark.parametrize(
        "change",
        [change for name, change in CHANGES.items() if name not in WITH_FILES],
        ids=[name for name in CHANGES if name not in WITH_FILES],
    )
    def test_that_is_rolled_back_leaves_nothing(self, engine, place, everything, change):
        before = everything()

        with suppress(ZeroDivisionError), transaction(engine) as session:
            change.call(session, place, by=BOSS, now=LATER)
            session.flush()
            raise ZeroDivisionError

        assert everything() == before

    def test_of_a_picture_that_comes_to_nothing_leaves_no_row(self, place, everything):
        tables, _files = everything()

        with pytest.raises(NotFoundError):
            images.replace_image(
                place.engine, place.store, 404, data=make_picture(), by=ANA, now=LATER
            )

        assert everything()[0] == tables

    def test_is_in_the_table_above(self):
        modules = (
            activity, checks, covers, images, notes, orphans, people, products, sync, tokens, trash,
        )  # fmt: skip

        known = {
            f"{module.__name__.removeprefix('core.')}.{name}"
            for module in modules
            for name, function in inspect.getmembers(module, inspect.isfunction)
            if function.__module__ == module.__name__
            and not name.startswith("_")
            and "by" in inspect.signature(function).parameters
        }

        assert known - ONLY_LOOK - {"activity.record"} == {n.partition(",")[0] for n in CHANGES}

    def test_has_an_action_of_its_own(self):
        assert sorted(change.action for change in CHANGES.values()) == sorted(Action)


class TestWhatChangesNothing:
    def test_is_not_written_down(self, engine, place, recorded):
        with transaction(engine) as session:
            covers.order_first_covers(session, place.settings, [], by=ANA, now=LATER)
            images.revert(session, place.product, place.image + 1, by=ANA, now=LATER)
            sync.start_run(session, trigger=sync.Trigger.BUTTON, by=ANA, now=NOW)
            sync.start_run(session, trigger=sync.Trigger.BUTTON, by=ANA, now=LATER)
            order = {"prompt": "A boat", "by": ANA}
            covers.order_cover(session, place.settings, place.product, now=NOW, **order)
            covers.order_cover(session, place.settings, place.product, now=LATER, **order)

        assert recorded() == []


class TestListActivity:
    @pytest.fixture
    def some(self, engine):
        with transaction(engine) as session:
            for number in range(60):
                record(session, ANA, Action.NOTE_ADDED, now=NOW, product_id=number % 2 + 1)

    def test_has_the_newest_first(self, engine, some):
        with reading(engine) as session:
            ids = [row.id for row, _offer in list_activity(session, by=BOSS)]

        assert ids == list(range(60, 10, -1))

    def test_names_the_offer(self, engine, place):
        with transaction(engine) as session:
            notes.add_note(session, place.product, text="x", by=ANA, now=NOW)
            name = products.get_product(session, place.product).name

        with reading(engine) as session:
            (_row, offer), *_others = list_activity(session, by=BOSS)

        assert offer == name

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
    def test_is_for_admins(self, engine, some, role):
        with reading(engine) as session, pytest.raises(ForbiddenError, match="admin is needed"):
            list_activity(session, by=Actor(EVA, role))

    def test_stays_when_the_offer_is_gone(self, engine, place):
        with transaction(engine) as session:
            notes.add_note(session, place.product, text="x", by=ANA, now=NOW)
            session.delete(products.get_product(session, place.product))

        with reading(engine) as session:
            ((row, offer), *_others) = list_activity(session, by=BOSS)
        assert (row.product_id, offer) == (place.product, None)
