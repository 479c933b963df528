"""The OpenAPI document: complete, the same everywhere, and true."""

import re

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from schemathesis import checks

from core.api import create_api
from tests.builders import make_image, make_note, make_product
from tests.core.api.test_products import save


@pytest.fixture(scope="module")
def document():
    return create_api(lambda: None).openapi()


def operations(document):
    return [
        (f"{method.upper()} {path}", call)
        for path, methods in document["paths"].items()
        for method, call in methods.items()
    ]


class TestDocument:
    def test_is_served_as_it_is_printed(self, call, document):
        assert call("GET", "/openapi.json", role=None).json() == document
        assert document["servers"] == [{"url": "/api"}]

    def test_describes_every_error_as_a_problem(self, document):
        for name, call in operations(document):
            errors = {status for status in call["responses"] if status >= "400"}
            assert {"401", "422", "429"} <= errors, name
            assert ("403" in errors) == ("webhook" not in name), name
            assert ("404" in errors) == ("{" in name), name
            assert ("413" in errors) == ("requestBody" in call), name
            for status in errors:
                content = call["responses"][status]["content"]
                assert list(content) == ["application/problem+json"], name
                problem = content["application/problem+json"]
                assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert problem["example"]["status"] == int(status)
        assert set(document["components"]["schemas"]["Problem"]["properties"]) == {
            "type", "title", "status", "detail"
        }  # fmt: skip

    def test_says_what_each_call_needs_to_get_in(self, document):
        schemes = document["components"]["securitySchemes"]
        assert schemes["Hottok"]["name"] == "X-HOTMART-HOTTOK"
        assert schemes["Hottok"]["in"] == "header"

        for name, call in operations(document):
            scheme = "Hottok" if "webhook" in name else "HTTPBearer"
            assert call["security"] == [{scheme: []}], name

    def test_has_examples(self, document):
        for name, call in operations(document):
            for media_type, body in call.get("requestBody", {}).get("content", {}).items():
                if media_type == "multipart/form-data":
                    continue
                named = re.findall(r"schemas/(\w+)", str(body))
                schemas = [document["components"]["schemas"][each] for each in named]
                assert "example" in body or any("examples" in each for each in schemas), name
        for name, schema in document["components"]["schemas"].items():
            has_one = "examples" in schema or any(
                "examples" in each for each in schema.get("properties", {}).values()
            )
            assert has_one or "enum" in schema, name


class TestPages:
    def test_need_no_other_host(self, call):
        page = call("GET", "/docs", role=None)

        assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        tags = re.findall(r"<(?:script|link|img)\b[^>]*>", page.text)
        addresses = re.findall(r'(?:src|href)="([^"]+)"', " ".join(tags))
        assert len(addresses) >= 3
        for address in addresses:
            assert address.startswith("/api/static-offline-docs/")
            assert call("GET", address.removeprefix("/api"), role=None).status_code == 200
        assert "url: '/api/openapi.json'" in page.text
        assert not re.search(r"https?://", page.text)
        assert '"validatorUrl": null' in page.text


checks.load_all_checks()
CHECKS = [
    checks.CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]
PLACES = {"product_id": 1, "image_id": 1, "note_id": 1}


def test_no_answer_differs_from_the_document(call_running, document):
    call = call_running(covers_per_sync=0, hotmart_hottok="hottok")
    (product,) = save(call, make_product(origin="manual"))
    save(call, make_image(product), make_note(product))
    token = {"Authorization": f"Bearer {call.secrets['editor']}", "X-HOTMART-HOTTOK": "hottok"}
    served = document | {"servers": [{"url": call.url}]}
    modes = schemathesis.GenerationMode
    seen = set()

    schema = schemathesis.openapi.from_dict(served)
    schema.config.update(base_url=call.url)
    for found in schema.get_all_operations():
        operation = found.ok()
        cases = operation.as_strategy(generation_mode=modes.POSITIVE)
        if operation.method != "get":
            cases |= operation.as_strategy(generation_mode=modes.NEGATIVE)

        @given(case=cases, is_there=booleans())
        @settings(
            max_examples=20,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case, is_there):
            if is_there:
                case.path_parameters.update(
                    {k: v for k, v in PLACES.items() if k in case.path_parameters}
                )
            case.headers.pop("Prefer", None)  # no test has the time to wait
            answer = case.call_and_validate(headers=token, checks=CHECKS, timeout=20)
            seen.add((case.method, case.operation.path, answer.status_code))

        ask()

    assert {status for _method, _path, status in seen} >= {200, 201, 202, 204, 404, 422}
