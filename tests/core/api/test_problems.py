import pytest

from tests.core.api.conftest import is_problem

JSON = {"Content-Type": "application/json"}


class TestAddresses:
    @pytest.mark.parametrize(
        "path", ["/", "/nothing", "/products/", "/products/x/y", "/%2e%2e/x", "/docs/x", "/redoc"]
    )
    def test_that_are_not_there(self, call, path):
        for method in ("GET", "POST", "DELETE"):
            assert is_problem(call(method, path), 404, "/api/docs")

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("DELETE", "/products", "GET, POST"),
            ("PUT", "/products/1", "GET, PATCH"),
            ("GET", "/hotmart/sync", "POST"),
            ("GET", "/products/1/images/upload", "POST"),
            ("TRACE", "/hotmart/status", "GET"),
            ("BREW", "/jobs/x", "GET"),
        ],
    )
    def test_that_take_another_method(self, call, method, path, allowed):
        answer = call(method, path)

        assert is_problem(answer, 405, "method")
        assert answer.headers["Allow"] == allowed

    def test_with_a_word_for_a_number(self, call):
        assert is_problem(call("GET", "/products/one"), 422, "product_id")


class TestBodies:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"name=x",
            b"\xff\xfe",
            b'{"name": "\xff"}',
            b'{"price": ' + b"9" * 5000 + b"}",
            b"[" * 20_000,
            b"[" * 20_000 + b"]" * 20_000,
            b'{"\\ud800": 1}',
            b"NaN",
        ],
        ids=lambda body: str(body[:12]),
    )
    def test_that_are_not_what_the_call_takes(self, call, body):
        assert is_problem(call("POST", "/products", data=body, headers=JSON), 422)

    def test_of_another_type(self, call):
        body = b'{"name": "x"}'

        for type_ in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            headers = {"Content-Type": type_}
            assert is_problem(call("POST", "/products", data=body, headers=headers), 422)


def test_a_bug_is_a_problem_too(call, monkeypatch):
    monkeypatch.setattr("core.sync.last_run", lambda session: 1 / 0)

    answer = call("GET", "/hotmart/status")

    assert is_problem(answer, 500, "log")
    assert "ZeroDivision" not in answer.text
