"""What the API's tests of tokens (api/test_gate.py) don't show: who may make them, and the cap."""

from datetime import timedelta

import pytest
from sqlmodel import select

from core import people, tokens
from core.access import COMMAND, LOCAL, Actor, Role
from core.database import reading, transaction
from core.errors import ForbiddenError, InvalidInputError, NotFoundError, SignInError
from core.models import Activity, ApiToken, Person
from core.settings import read_settings
from tests.builders import BOSS, NOW

EVA = Actor("eva@example.com", Role.ADMIN)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def settings():
    return read_settings(admin_emails=BOSS.name)


@pytest.fixture
def create(engine):
    """Makes a token and returns its secret."""

    def create(*, by=EVA, role=Role.ADMIN, name="script", **changes):
        with transaction(engine) as session:
            _token, secret = tokens.create_token(
                session, name=name, role=role, by=by, now=NOW, **changes
            )
        return secret

    return create


@pytest.fixture
def revoke(engine):
    def revoke(id_, *, by=BOSS, now=NOW):
        with transaction(engine) as session:
            return tokens.revoke_token(session, id_, by=by, now=now)

    return revoke


@pytest.fixture
def allow(engine, settings):
    def allow(pattern, role):
        with transaction(engine) as session:
            people.set_person(session, settings, pattern, role, by=COMMAND, now=NOW)

    return allow


@pytest.fixture
def who(engine, settings):
    """Returns who comes in with a secret."""
    return lambda secret: tokens.identify(engine, settings, secret, now=NOW)


class TestCap:
    @pytest.mark.parametrize("creator", Role)
    @pytest.mark.parametrize("token", Role)
    def test_is_what_the_creator_may_do_now(self, create, allow, who, token, creator):
        allow(EVA.name, "admin")
        secret = create(role=token)

        allow(EVA.name, creator)

        assert who(secret).role == min(token, creator, key=list(Role).index)

    def test_rises_with_the_creator_again(self, create, allow, who):
        allow(EVA.name, "viewer")
        secret = create(role=Role.EDITOR)
        assert who(secret).role == Role.VIEWER

        allow(EVA.name, "admin")

        assert who(secret).role == Role.EDITOR

    def test_goes_by_the_domain_too(self, create, allow, who):
        allow("@example.com", "editor")

        assert who(create()).role == Role.EDITOR

    @pytest.mark.parametrize("rules", [{}, {"@example.com": "admin", EVA.name: "none"}], ids=str)
    def test_shuts_out_when_the_creator_may_not_come_in(self, create, allow, who, rules):
        for pattern, role in rules.items():
            allow(pattern, role)
        secret = create(role=Role.VIEWER)

        with pytest.raises(SignInError, match="Whoever created this token"):
            who(secret)

    def test_shuts_out_as_soon_as_the_creator_is_removed(self, engine, create, allow, who):
        allow(EVA.name, "admin")
        secret = create()
        assert who(secret).role == Role.ADMIN

        with transaction(engine) as session:
            person = session.exec(select(Person)).one()
            people.remove_person(session, person.id, by=BOSS, now=NOW)

        with pytest.raises(SignInError, match="Whoever created this token"):
            who(secret)

    def test_does_not_write_a_use_by_who_is_shut_out(self, create, who, rows):
        secret = create()

        with pytest.raises(SignInError):
            who(secret)

        assert rows(ApiToken)[0]["last_used_at"] is None

    @pytest.mark.parametrize("by", [COMMAND, LOCAL, BOSS], ids=lambda by: by.name)
    @pytest.mark.parametrize("role", Role)
    def test_is_none_for_command_local_and_admin_emails(self, create, who, role, by):
        secret = create(by=by, role=role)

        assert (who(secret).name, who(secret).role) == ("script (token 1)", role)

    def test_is_not_escaped_by_a_token_that_makes_another(self, create, allow, who, rows):
        """Else whoever is removed leaves a way in behind."""
        allow(EVA.name, "admin")
        program = who(create())

        with pytest.raises(ForbiddenError, match="can't create tokens"):
            create(by=program)

        assert len(rows(ApiToken)) == 1

    def test_of_one_creator_is_not_that_of_another(self, create, allow, who):
        allow(EVA.name, "viewer")
        secrets = create(by=EVA), create(by=BOSS)

        assert [who(secret).role for secret in secrets] == [Role.VIEWER, Role.ADMIN]


class TestCreateToken:
    @pytest.mark.parametrize("name", ["local", "Automatic", "boss@example.com"])
    def test_gives_no_program_the_name_of_a_person(self, create, who, name):
        assert who(create(name=name, by=COMMAND)).name == f"{name} (token 1)"

    @pytest.mark.parametrize("name", ["locals", "sync 2", "commander", "Zapier, for Ana"])
    def test_takes_a_name_that_only_holds_one(self, create, rows, name):
        create(name=name)

        assert rows(ApiToken)[0]["name"] == name

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
    def test_refuses_whoever_is_no_admin(self, create, rows, role):
        with pytest.raises(ForbiddenError, match="admin is needed"):
            create(by=Actor(EVA.name, role), role=Role.VIEWER)

        assert rows(ApiToken) == []

    @pytest.mark.parametrize("ends", [NOW, NOW - timedelta(seconds=1)])
    def test_refuses_an_end_that_is_past(self, create, rows, ends):
        with pytest.raises(InvalidInputError, match="ended already"):
            create(expires_at=ends)

        assert rows(ApiToken) == []

    def test_is_recorded_without_the_secret(self, create, rows):
        secret = create(name="Zapier", role=Role.EDITOR)

        (row,) = rows(Activity)
        (token,) = rows(ApiToken)
        assert (row["actor"], row["action"]) == (EVA.name, "token_created")
        assert row["detail"] == f"{token['id']} Zapier: editor"
        assert secret not in str(rows(Activity)) + str(rows(ApiToken))
        assert token["digest"] not in str(rows(Activity))


class TestRevokeToken:
    def test_twice_keeps_the_first_time(self, create, revoke, rows):
        create()
        (token,) = rows(ApiToken)

        revoke(token["id"], now=NOW)
        revoke(token["id"], now=LATER)

        assert rows(ApiToken)[0]["revoked_at"] == NOW
        assert [row["action"] for row in rows(Activity)] == ["token_created", "token_revoked"]

    def test_ends_that_one_only(self, create, revoke, rows, who):
        first, second = create(by=COMMAND), create(by=COMMAND)

        revoke(rows(ApiToken)[0]["id"])

        with pytest.raises(SignInError, match="no longer valid"):
            who(first)
        assert who(second).name == "script (token 2)"

    def test_refuses_one_that_is_not_there(self, create, revoke, rows):
        create()
        before = rows(ApiToken), rows(Activity)

        for id_ in (404, 0, -1, 2**31, 2**63, 2**64, -(2**64)):
            with pytest.raises(NotFoundError, match="no such token"):
                revoke(id_)

        assert (rows(ApiToken), rows(Activity)) == before

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
    def test_refuses_whoever_is_no_admin(self, create, revoke, rows, who, role):
        secret = create(by=COMMAND)
        (token,) = rows(ApiToken)

        for id_ in (token["id"], 404):
            with pytest.raises(ForbiddenError, match="admin is needed"):
                revoke(id_, by=Actor(EVA.name, role))

        assert rows(ApiToken) == [token]
        assert who(secret).role == Role.ADMIN


class TestListTokens:
    def test_has_the_newest_first_and_revoked_ones(self, engine, create, revoke, rows):
        for name in ("one", "two"):
            create(name=name)
        revoke(rows(ApiToken)[0]["id"])

        with reading(engine) as session:
            assert [token.name for token in tokens.list_tokens(session, by=BOSS)] == ["two", "one"]

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
    def test_refuses_whoever_is_no_admin(self, engine, role):
        with reading(engine) as session, pytest.raises(ForbiddenError):
            tokens.list_tokens(session, by=Actor(EVA.name, role))
