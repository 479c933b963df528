import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from core import tokens
from core.access import COMMAND, Role
from core.database import reading, transaction
from core.errors import InvalidInputError
from core.models import ApiToken
from tests.builders import make_image, make_note, make_picture, make_product
from tests.core.api.conftest import is_problem

NEEDS = {
    ("POST", "/hotmart/sync"): Role.EDITOR,
    ("GET", "/hotmart/status"): Role.VIEWER,
    ("GET", "/products"): Role.VIEWER,
    ("POST", "/products"): Role.EDITOR,
    ("GET", "/products/{p}"): Role.VIEWER,
    ("PATCH", "/products/{p}"): Role.EDITOR,
    ("POST", "/products/{p}/images/upload"): Role.EDITOR,
    ("POST", "/products/{p}/images/generate"): Role.EDITOR,
    ("GET", "/products/{p}/images/history"): Role.VIEWER,
    ("POST", "/products/{p}/images/{i}/revert"): Role.EDITOR,
    ("GET", "/products/{p}/notes"): Role.VIEWER,
    ("POST", "/products/{p}/notes"): Role.EDITOR,
    ("PATCH", "/products/{p}/notes/{n}"): Role.EDITOR,
    ("DELETE", "/products/{p}/notes/{n}"): Role.EDITOR,
    ("GET", "/jobs/{j}"): Role.VIEWER,
}
BODIES = {
    ("POST", "/products"): {"json": {"name": "Sourdough"}},
    ("PATCH", "/products/{p}"): {"json": {"commission_percent": 40}},
    ("POST", "/products/{p}/images/upload"): {"files": {"image": make_picture()}},
    ("POST", "/products/{p}/notes"): {"json": {"note": "Sells on Sundays."}},
    ("PATCH", "/products/{p}/notes/{n}"): {"json": {"pinned": True}},
}


def places(app):
    """What stands between braces in the paths above."""
    with transaction(app.engine) as session:
        session.add(product := make_product())
        session.flush()
        session.add_all([image := make_image(product), note := make_note(product)])
    return {"p": product.id, "i": image.id, "n": note.id}


class TestRoles:
    @pytest.mark.parametrize("role", list(Role))
    def test_every_call_by_role(self, call_running, role):
        call = call_running(covers_per_sync=0)
        where = places(call.app)
        job = call("POST", f"/products/{where['p']}/images/generate").json()
        where["j"] = job["job_id"]

        for (method, path), needed in NEEDS.items():
            body = BODIES.get((method, path), {})
            answer = call(method, path.format(**where), role=role, **body)

            if role.includes(needed):
                assert answer.status_code in (200, 201, 202, 204), (method, path, answer.text)
            else:
                assert is_problem(answer, 403, "is needed"), (method, path)

    def test_none_without_a_token(self, call):
        where = places(call.app) | {"j": "cover-1"}

        for method, path in NEEDS:
            answer = call(method, path.format(**where), role=None, **BODIES.get((method, path), {}))

            assert is_problem(answer, 401, "needs a token")
            assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_the_table_has_every_call_of_the_document(self, call):
        paths = call("GET", "/openapi.json").json()["paths"]
        names = {"product_id": "p", "image_id": "i", "note_id": "n", "job_id": "j"}

        calls = {
            (method.upper(), path.format(**{name: f"{{{short}}}" for name, short in names.items()}))
            for path, methods in paths.items()
            for method in methods
        }

        assert calls == set(NEEDS) | {("POST", "/hotmart/webhook")}


class TestTokens:
    @pytest.mark.parametrize(
        "secret", ["wrong", "capista_", "x" * 5000, "é", "' OR 1=1 --", "a b c"]
    )
    def test_an_unknown_one_is_refused(self, call, secret):
        answer = call("GET", "/products", headers={"Authorization": f"Bearer {secret}".encode()})

        assert is_problem(answer, 401, "not known")

    @pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "bearer ", "capista_x", ""])
    def test_another_scheme_is_no_token(self, call, header):
        answer = call("GET", "/products", role=None, headers={"Authorization": header})

        assert is_problem(answer, 401)

    def test_one_that_has_ended_is_refused(self, call):
        now = datetime.now(UTC)
        ended = call.new_token(now=now - timedelta(days=2), expires_at=now - timedelta(days=1))
        valid = call.new_token(expires_at=now + timedelta(days=1))

        assert is_problem(call("GET", "/products", token=ended), 401, "no longer valid")
        assert call("GET", "/products", token=valid).status_code == 200

    def test_a_revoked_one_is_refused_at_the_next_call(self, call):
        secret = call.new_token()
        assert call("GET", "/products", token=secret).status_code == 200

        with transaction(call.app.engine) as session:
            newest = tokens.list_tokens(session, by=COMMAND)[0]
            tokens.revoke_token(session, newest.id, by=COMMAND, now=datetime.now(UTC))

        assert is_problem(call("GET", "/products", token=secret), 401, "no longer valid")

    def test_the_last_use_is_written_down(self, call):
        secret = call.new_token(name="other")
        before = datetime.now(UTC)

        call("GET", "/products", token=secret)
        first = self.token(call, "other").last_used_at
        call("GET", "/products", token=secret)

        assert before <= first <= datetime.now(UTC)
        assert self.token(call, "other").last_used_at == first  # once a minute is enough

    def test_secrets_are_nowhere_but_with_the_caller(self, call, tmp_path):
        secret = call.new_token()
        call("GET", "/products", token=secret)
        call.app.engine.dispose()

        files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

        assert secret.encode() not in files
        assert secret.removeprefix(tokens.PREFIX).encode() not in files
        with sqlite3.connect(tmp_path / "dashboard.db") as database:
            (digest,) = database.execute(
                "SELECT digest FROM api_tokens ORDER BY id DESC LIMIT 1"
            ).fetchone()
        assert len(digest) == 64

    @pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\tb", "\x1b[31mred"])
    def test_a_name_is_one_short_line(self, call, name):
        with pytest.raises(InvalidInputError):
            call.new_token(name=name)

    def token(self, call, name):
        with reading(call.app.engine) as session:
            return session.exec(select(ApiToken).where(ApiToken.name == name)).one()


class TestBrake:
    def test_slows_whoever_guesses(self, call):
        guesses = [call("GET", "/products", token=f"guess-{i}") for i in range(25)]

        assert [answer.status_code for answer in guesses] == [401] * 20 + [429] * 5
        assert is_problem(guesses[-1], 429, "Try again in")
        assert 1 <= int(guesses[-1].headers["Retry-After"]) <= 60

    def test_lets_a_right_token_from_the_same_address_in(self, call):
        for i in range(25):
            call("GET", "/products", token=f"guess-{i}")

        assert call("GET", "/products").status_code == 200

    def test_does_not_count_calls_without_a_token(self, call):
        answers = {call("GET", "/products", role=None).status_code for _ in range(25)}

        assert answers == {401}
