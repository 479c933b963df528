import pytest

from tests.builders import make_note, make_product
from tests.core.api.conftest import is_problem
from tests.core.api.test_products import HOSTILE, HUGE, save

ROW = {"id", "product_id", "note", "author", "pinned", "created_at", "updated_at"}


@pytest.fixture
def product(call):
    return save(call, make_product())[0]


class TestNotes:
    def test_are_written_read_changed_and_deleted(self, call, product):
        address = f"/products/{product.id}/notes"

        written = call("POST", address, json={"note": " Sells on Sundays. "})
        note = written.json()
        changed = call("PATCH", f"{address}/{note['id']}", json={"note": "Mondays", "pinned": True})
        listed = call("GET", address, role="viewer")
        deleted = call("DELETE", f"{address}/{note['id']}")

        assert (written.status_code, set(note)) == (201, ROW)
        assert (note["note"], note["pinned"]) == ("Sells on Sundays.", False)
        assert note["author"].startswith("script (token ")
        assert changed.status_code == 200
        assert listed.json() == [changed.json()]
        assert (changed.json()["note"], changed.json()["pinned"]) == ("Mondays", True)
        assert (deleted.status_code, deleted.content) == (204, b"")
        assert call("GET", address).json() == []
        assert is_problem(call("DELETE", f"{address}/{note['id']}"), 404)

    def test_come_in_pages_of_20_with_their_number(self, call, product):
        save(call, *(make_note(product) for _ in range(21)))
        address = f"/products/{product.id}/notes"

        first, second = call("GET", address), call("GET", f"{address}?page=2")

        assert (len(first.json()), len(second.json())) == (20, 1)
        assert first.headers["X-Total-Count"] == second.headers["X-Total-Count"] == "21"

    @pytest.mark.parametrize("text", HOSTILE)
    def test_keep_any_text(self, call, product, text):
        answer = call("POST", f"/products/{product.id}/notes", json={"note": text})

        assert answer.json()["note"] == text

    @pytest.mark.parametrize(
        "body",
        [{}, {"note": ""}, {"note": " \0"}, {"note": "x" * 20_001}, {"note": 1}, []],
        ids=str,
    )
    def test_refuse_what_is_no_note(self, call, product, body):
        assert is_problem(call("POST", f"/products/{product.id}/notes", json=body), 422)

    def test_of_another_offer_can_t_be_changed(self, call, product):
        (other,) = save(call, make_product())
        (note,) = save(call, make_note(other, note="theirs"))
        address = f"/products/{product.id}/notes/{note.id}"

        assert is_problem(call("PATCH", address, json={"note": "mine"}), 404)
        assert is_problem(call("DELETE", address), 404)
        assert call("GET", f"/products/{other.id}/notes").json()[0]["note"] == "theirs"

    @pytest.mark.parametrize("id_", HUGE, ids=lambda id_: str(id_)[:20])
    def test_that_are_not_there(self, call, product, id_):
        address = f"/products/{product.id}/notes/{id_}"

        assert is_problem(call("PATCH", address, json={"pinned": True}), 404)
        assert is_problem(call("DELETE", address), 404)
