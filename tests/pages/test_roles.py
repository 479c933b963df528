"""Every button that changes something, by role: drawn for whom, and of no use to the others."""

import ast
from pathlib import Path
from typing import Any

import pytest

from core.access import Actor, Role
from core.database import transaction
from core.errors import ForbiddenError
from core.models import ApiToken, JobState, Origin, Person, Product
from core.site import Site
from tests.builders import NOW, make_image, make_job, make_note, make_product
from tests.contents import everything
from tests.pages.conftest import Dashboard

PAGES = Path(__file__).parents[2] / "pages"
SETTINGS = {"hotmart_client_id": "an-id", "hotmart_client_secret": "a-secret"}
OFFER = {"product": "1"}

ACTIONS = [
    # page, address, what to press first, what to press, who may
    ("offers", {}, None, "sync", Role.EDITOR),
    ("offers", {}, None, "make-missing", Role.EDITOR),
    ("offers", {}, None, "archive-samples", Role.EDITOR),
    ("offers", {}, None, "retry-1", Role.EDITOR),
    ("offers", {}, None, "regenerate-1", Role.EDITOR),
    ("offers", {}, None, "replace-1", Role.EDITOR),
    ("offers", {}, None, "manage-1", Role.VIEWER),
    ("offers", {}, "manage-1", "generate-1", Role.EDITOR),
    ("offers", {}, "manage-1", "add-note-1", Role.EDITOR),
    ("offers", {}, "manage-1", "revert-1", Role.EDITOR),
    ("image_manager", OFFER, None, "generate-1", Role.EDITOR),
    ("image_manager", OFFER, None, "panel-retry-1", Role.EDITOR),
    ("image_manager", OFFER, None, "revert-1", Role.EDITOR),
    ("image_manager", OFFER, None, "upload-1-0", Role.EDITOR),
    ("notes", {}, None, "edit-1", Role.EDITOR),
    ("notes", {}, None, "pin-1", Role.EDITOR),
    ("notes", {}, None, "delete-1", Role.EDITOR),
    ("notes", {}, "edit-1", "save-1", Role.EDITOR),
    ("notes", {}, "delete-1", "undo-delete", Role.EDITOR),
    ("image_manager", OFFER, None, "delete-image-1", Role.EDITOR),
    ("image_manager", OFFER, "delete-image-1", "undo-delete", Role.EDITOR),
    ("image_manager", OFFER, None, "delete-offer-1", Role.EDITOR),
    ("offers", {}, "manage-1", "delete-offer-1", Role.EDITOR),
    ("trash", {}, None, "restore-note-2", Role.EDITOR),
    ("trash", {}, None, "restore-picture-3", Role.EDITOR),
    ("trash", {}, None, "restore-offer-3", Role.EDITOR),
    ("trash", {}, None, "empty-trash", Role.ADMIN),
    ("trash", {}, "empty-trash", "empty-trash-now", Role.ADMIN),
    ("settings", {}, None, "test-hotmart", Role.ADMIN),
    ("settings", {}, None, "test-images", Role.ADMIN),
    ("settings", {}, None, "person-add", Role.ADMIN),
    ("settings", {}, None, "remove-person-1", Role.ADMIN),
    ("settings", {}, None, "token-create", Role.ADMIN),
    ("settings", {}, None, "revoke-token-1", Role.ADMIN),
    ("settings", {}, None, "check-pictures", Role.ADMIN),
]
IDS = [f"{page}:{key}" for page, _address, _first, key, _role in ACTIONS]
AT_ONCE = {"sync", "make-missing", "archive-samples", "retry-1", "generate-1", "revert-1"} | {
    "panel-retry-1", "pin-1", "delete-1", "undo-delete", "remove-person-1", "revoke-token-1",
    "delete-image-1", "delete-offer-1", "restore-note-2", "restore-picture-3", "restore-offer-3",
    "empty-trash-now", "check-pictures",
}  # fmt: skip
"""What changes something by a click alone, so that the tests below could fail."""
LESS = {Role.EDITOR: Role.VIEWER, Role.ADMIN: Role.EDITOR}


@pytest.fixture
def stage(dashboard_of) -> Dashboard:
    """Offers, pictures, notes, people and tokens on which every button can be drawn."""
    dashboard = dashboard_of(site=Site(requires_sign_in=True), admin_emails="b@x.org", **SETTINGS)
    product = make_product(name="Piano", origin=Origin.SAMPLE)
    dashboard.save(product, make_product(name="No picture yet"), make_product(deleted_at=NOW))
    earlier, later = make_image(product), make_image(product)
    deleted = make_image(product, deleted_at=NOW)
    job = make_job(product, state=JobState.FAILED, error="It was refused.")
    with transaction(dashboard.app.engine) as session:
        for row in (earlier, later, deleted):
            session.add(row)
            session.flush()
        session.add(job)
        shown = session.get_one(Product, product.id)
        shown.image_url, shown.current_image_id = later.image_url, later.id
        shown.cover_job_id = job.id
    rules = {"created_by": "local", "created_at": NOW}
    dashboard.save(
        make_note(product),
        make_note(product, deleted_at=NOW),
        Person(pattern="@x.org", role=Role.VIEWER, **rules),
        ApiToken(name="script", role=Role.VIEWER, digest="0", **rules),
    )
    assert product.id == earlier.id == 1
    return dashboard


def widget(dashboard: Dashboard, key: str) -> Any:
    """Return the button or field with this key, or nothing if it is not drawn."""
    kinds = (dashboard.at.button, dashboard.at.file_uploader)
    return next((w for kind in kinds for w in kind if w.key == key), None)


def show(dashboard: Dashboard, page: str, address: dict[str, str], first: str | None) -> None:
    dashboard.open("" if page == "offers" else page, **address)
    if first and widget(dashboard, first):
        dashboard.press(first)


def use(dashboard: Dashboard, key: str) -> None:
    found = widget(dashboard, key)
    if key.startswith("upload"):
        found.set_value(("red.png", b"no picture at all", "image/png"))
    else:
        found.click()
    dashboard.run()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("page", "address", "first", "key", "needed"), ACTIONS, ids=IDS)
def test_a_button_is_there_for_those_who_may_use_it(stage, role, page, address, first, key, needed):
    stage.become(role)

    show(stage, page, address, first)

    assert (widget(stage, key) is not None) == role.includes(needed)


@pytest.mark.parametrize(
    ("page", "address", "first", "key", "needed"), [a for a in ACTIONS if a[3] in AT_ONCE]
)
def test_a_click_of_somebody_who_may_changes_something(stage, page, address, first, key, needed):
    stage.become(needed)
    show(stage, page, address, first)
    before = everything(stage.app.engine)

    use(stage, key)

    assert everything(stage.app.engine) != before or stage.orders != []


@pytest.mark.parametrize(
    ("page", "address", "first", "key", "needed"), [a for a in ACTIONS if a[4] in LESS]
)
def test_a_click_after_the_role_is_gone_changes_nothing(stage, page, address, first, key, needed):
    stage.become(needed)
    show(stage, page, address, first)
    before = everything(stage.app.engine)

    stage.become(LESS[needed])
    use(stage, key)

    assert everything(stage.app.engine) == before
    assert stage.orders == []


@pytest.mark.parametrize(("page", "address", "first", "key", "needed"), ACTIONS, ids=IDS)
def test_a_click_of_somebody_who_was_shut_out_meets_the_gate(
    stage, page, address, first, key, needed
):
    stage.become(needed)
    show(stage, page, address, first)
    before = everything(stage.app.engine)

    def refuse() -> Actor:
        raise ForbiddenError("You are not on the list.")

    stage.identify = refuse
    use(stage, key)

    assert everything(stage.app.engine) == before
    assert stage.orders == []
    assert "You are not on the list." in stage.said()
    assert stage.names() == []
    assert [button.key for button in stage.at.button] == ["leave"]


def test_settings_by_its_address_tells_an_editor_that_they_may_not(stage):
    stage.become(Role.EDITOR)

    stage.open("settings")

    assert "The role editor may not do this; admin is needed." in stage.said()
    assert "HOTMART_CLIENT_ID" not in stage.said()


def test_no_part_of_a_page_runs_alone_without_asking_who_is_looking():
    for path in PAGES.rglob("*.py"):
        if path.name == "guarded.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.Attribute) and node.attr == "fragment") or (
                isinstance(node.value, ast.Name) and node.value.id == "guarded"
            ), f"{path.name}: use guarded.fragment, which asks"
