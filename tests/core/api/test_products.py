from datetime import timedelta

import pytest

from core.database import transaction
from core.models import Product
from tests.builders import NOW, make_image, make_product
from tests.core.api.conftest import is_problem

ROW = {
    "id", "hotmart_id", "ucode", "name", "producer_name", "origin", "status", "format", "language",
    "price", "currency", "commission_percent", "hotlink", "sales_page_url", "image_url",
    "thumbnail_url", "current_image_id", "notes_count", "cover_state", "cover_error",
    "first_seen_at", "last_seen_at", "archived_at",
}  # fmt: skip
HUGE = [0, -1, 2**31, 2**63, 2**64, 10**40, int("9" * 4000)]
HOSTILE = [
    "'; DROP TABLE products; --",
    "<script>alert(1)</script>",
    "%_\\",
    "\u202egnp.x",
    "🎂" * 50,
    "a\nb\r\nSet-Cookie: x=y",
    "{{7*7}}",
    "=1+1",
]


def save(call, *rows):
    with transaction(call.app.engine) as session:
        session.add_all(rows)
    return rows


def names(answer):
    assert answer.status_code == 200, answer.text
    return [row["name"] for row in answer.json()["items"]]


class TestList:
    def test_of_nothing(self, call):
        assert call("GET", "/products").json() == {
            "items": [],
            "total": 0,
            "page": 1,
            "page_size": 24,
        }

    def test_rows_say_what_is_known(self, call):
        (product,) = save(call, make_product(name="Pão", producer_name="Ana"))

        (row,) = call("GET", "/products").json()["items"]

        assert set(row) == ROW
        assert (row["id"], row["name"], row["price"]) == (product.id, "Pão", 97.0)
        assert row["first_seen_at"] == "2026-11-22T12:00:00Z"

    def test_filters(self, call):
        piano, yoga, gone = save(
            call,
            make_product(name="Piano", origin="created", status="DRAFT"),
            make_product(name="Yoga", producer_name="São Paulo"),
            make_product(name="Gone", archived_at=NOW),
        )
        with transaction(call.app.engine) as session:
            session.add(image := make_image(piano))
            session.flush()
            session.get(Product, piano.id).current_image_id = image.id

        def listed(**wanted):
            return names(call("GET", "/products", params=wanted))

        assert sorted(listed()) == ["Piano", "Yoga"]
        assert listed(search="SAO") == ["Yoga"]
        assert listed(status="DRAFT") == ["Piano"]
        assert listed(status="ARCHIVED") == ["Gone"] == [gone.name]
        assert listed(origin="created") == ["Piano"]
        assert listed(has_image="true") == ["Piano"]
        assert listed(has_image="false") == ["Yoga"] == [yoga.name]
        assert listed(search="piano", has_image="false") == []

    def test_pages_and_order(self, call):
        save(
            call,
            *(
                make_product(name=f"N{i}", price=10 - i, first_seen_at=NOW + timedelta(days=i))
                for i in range(5)
            ),
        )

        first = call("GET", "/products", params={"page_size": 2, "sort": "name"})
        last = call("GET", "/products", params={"page_size": 2, "sort": "name", "page": 3})
        beyond = call("GET", "/products", params={"page_size": 2, "page": 10**9})

        assert names(first) == ["N0", "N1"]
        assert names(last) == ["N4"]
        assert names(beyond) == []
        assert {answer.json()["total"] for answer in (first, last, beyond)} == {5}
        assert names(call("GET", "/products?sort=price"))[0] == "N4"
        assert names(call("GET", "/products?sort=-price"))[0] == "N0"
        assert names(call("GET", "/products"))[0] == "N4"

    def test_parameters_without_a_value_mean_nothing(self, call):
        save(call, make_product())
        query = "search=&status=&origin=&has_image=&sort=&page=&page_size="

        assert call("GET", f"/products?{query}").json() == call("GET", "/products").json()

    @pytest.mark.parametrize(
        "query",
        ["page=0", "page=x", "page_size=201", "page_size=0", "sort=x", "has_image=x", "page=1e9",
         "page=" + "9" * 5000, "search=" + "x" * 501],
    )  # fmt: skip
    def test_refuses_what_it_can_t_read(self, call, query):
        assert is_problem(call("GET", f"/products?{query}"), 422, query.partition("=")[0])

    @pytest.mark.parametrize("word", [*HOSTILE, "\0", "%ff"])
    def test_searches_for_anything(self, call, word):
        save(call, make_product())

        for name in ("search", "status", "origin"):
            answer = call("GET", "/products", params={name: word})
            assert answer.status_code == 200


class TestOne:
    def test_is_created_read_and_changed(self, call):
        given = {
            "name": " Sourdough ",
            "producer_name": "Bread School",
            "language": "pt",
            "price": 97.5,
            "currency": "BRL",
            "commission_percent": 40,
            "hotlink": "https://go.hotmart.com/A1",
            "sales_page_url": "https://bread.example",
        }

        created = call("POST", "/products", json=given)
        changed = call("PATCH", f"/products/{created.json()['id']}", json={"price": None})

        assert created.status_code == 201
        assert set(created.json()) == ROW
        assert created.json() | given == created.json() | {"name": " Sourdough "}
        assert created.json()["origin"] == "manual"
        assert (changed.status_code, changed.json()["price"]) == (200, None)
        assert call("GET", f"/products/{created.json()['id']}").json() == changed.json()

    @pytest.mark.parametrize("name", HOSTILE)
    def test_keeps_any_name_as_it_is(self, call, name):
        created = call("POST", "/products", json={"name": name})

        assert created.status_code == 201
        assert call("GET", f"/products/{created.json()['id']}").json()["name"] == name

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": ""},
            {"name": " \0 "},
            {"name": None},
            {"name": 5},
            {"name": "x" * 2001},
            {"name": "x", "price": -1},
            {"name": "x", "price": "NaN"},
            {"name": "x", "price": 10**12},
            {"name": "x", "currency": "real"},
            {"name": "x", "commission_percent": 101},
            {"name": "x", "hotlink": "javascript:alert(1)"},
            {"name": "x", "image_url": "https://evil.test/x.png"},
            {"name": "x", "\ud800": 1},
            [],
            None,
        ],
        ids=str,
    )
    def test_refuses_values_it_can_t_take(self, call, body):
        assert is_problem(call("POST", "/products", json=body), 422)
        assert call("GET", "/products").json()["total"] == 0

    def test_leaves_what_hotmart_says_to_hotmart(self, call):
        (product,) = save(call, make_product(origin="promoted"))

        refused = call("PATCH", f"/products/{product.id}", json={"name": "Mine"})
        taken = call("PATCH", f"/products/{product.id}", json={"hotlink": "https://go.x"})

        assert is_problem(refused, 422, "name")
        assert taken.status_code == 200

    @pytest.mark.parametrize("id_", HUGE, ids=lambda id_: str(id_)[:20])
    def test_is_not_there(self, call, id_):
        paths = {
            ("GET", f"/products/{id_}"): {},
            ("PATCH", f"/products/{id_}"): {"json": {"price": 1}},
            ("GET", f"/products/{id_}/images/history"): {},
            ("POST", f"/products/{id_}/images/{id_}/revert"): {},
            ("POST", f"/products/{id_}/images/upload"): {"files": {"image": b"x"}},
            ("GET", f"/products/{id_}/notes"): {},
            ("POST", f"/products/{id_}/notes"): {"json": {"note": "x"}},
            ("DELETE", f"/products/{id_}/notes/{id_}"): {},
        }

        for (method, path), body in paths.items():
            assert is_problem(call(method, path, **body), 404, "no longer here")


def test_an_offer_in_the_trash_is_in_no_answer(call):
    (product,) = save(call, make_product(deleted_at=NOW))
    at = f"/products/{product.id}"

    assert call("GET", "/products").json()["total"] == 0
    for method, path, body in (
        ("GET", at, None),
        ("PATCH", at, {"language": "pt"}),
        ("GET", f"{at}/images/history", None),
        ("POST", f"{at}/images/1/revert", None),
        ("GET", f"{at}/notes", None),
        ("POST", f"{at}/notes", {"note": "x"}),
    ):
        is_problem(call(method, path, json=body), 404, "This offer is in the trash")


def test_a_picture_in_the_trash_is_not_in_the_history(call):
    (product,) = save(call, make_product())
    (picture,) = save(call, make_image(product, deleted_at=NOW))
    at = f"/products/{product.id}/images"

    assert call("GET", f"{at}/history").json() == []
    is_problem(call("POST", f"{at}/{picture.id}/revert"), 404, "no such picture")
