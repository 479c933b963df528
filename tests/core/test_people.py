import math
from datetime import timedelta

import pytest
from sqlmodel import select

from core import people
from core.access import COMMAND, LOCAL, Actor, Role
from core.database import reading, transaction
from core.errors import ForbiddenError, InvalidInputError, NotFoundError, SignInError
from core.models import Activity, EndedSignIn, Person, Visitor
from core.settings import read_settings
from tests.builders import ANA, BOSS, NOW

EMAIL = "ana@example.com"
VIEWER = Actor("rui@example.com", Role.VIEWER)
EDITOR = Actor("eva@example.com", Role.EDITOR)
MINUTE = timedelta(minutes=1)

LOOK_ALIKES = {
    "kelvin sign": "\u212aate@example.com",
    "kelvin sign in the domain": "kate@\u212aapista.com",
    "dotless i": "rıta@example.com",
    "dotted capital i": "RİTA@example.com",
    "long s": "\u017fara@example.com",
    "full width": "ａｎａ@example.com",
    "full width at": "ana＠example.com",
    "full width dot": "ana@example．com",
    "cyrillic a": "\u0430na@example.com",
    "cyrillic in the domain": "ana@ex\u0430mple.com",
    "combining": "a\u0301na@example.com",
    "zero width": "ana\u200b@example.com",
    "right to left": "ana\u202e@example.com",
}
NO_ADDRESSES = LOOK_ALIKES | {
    "nul": "ana\0@example.com",
    "nul at the end": "ana@example.com\0",
    "newline": "ana\n@example.com",
    "newline at the end": "ana@example.com\n",
    "newline at the start": "\nana@example.com",
    "carriage return": "ana@example.com\r",
    "tab": "ana\t@example.com",
    "tab at the end": "ana@example.com\t",
    "no-break space": "ana@example.com\u00a0",
    "blank inside": "ana maria@example.com",
    "two at": "ana@example.com@evil.test",
    "two at in a row": "ana@@example.com",
    "no at": "ana",
    "only at": "@",
    "no name": "@example.com",
    "no domain": "ana@",
    "quoted": '"ana"@example.com',
    "shown name": "Ana <ana@example.com>",
    "address in digits": "ana@[127.0.0.1]",
    "two, with a comma": "ana@example.com,eva@example.com",
    "two dots": "ana@example..com",
    "too long": "a@" + "x" * 294 + ".com",
    "too long a name": "a" * 290 + "@x.com",
    "empty": "",
}
NO_DOMAINS = [
    "@localhost",
    "@.",
    "@.com",
    "@example.",
    "@example..com",
    "@example.com.",
    "*",
    "@*",
    "@*.example.com",
    "@%.com",
    "example.com",
    "@@example.com",
    "@\u212aapista.com",
    "@ex\u0430mple.com",
    "@ｅxample.com",
    "@example.com evil.test",
    "@example.com\n@evil.test",
    "@example.com,@evil.test",
    "@" + "x" * 250 + ".com",
]
NO_TEXTS = [None, [EMAIL], {EMAIL: True}, EMAIL.encode(), 7, True]


def claims_of(email=EMAIL, *, at=NOW, **changes):
    """What a sign-in service says of somebody who signed in at that moment."""
    boring = {
        "iss": "https://accounts.example.com",
        "sub": f"subject of {email}",
        "email": email,
        "email_verified": True,
        "iat": int(at.timestamp()),
        "nonce": "n-1",
    }
    return boring | changes


@pytest.fixture
def settings():
    return read_settings(admin_emails="Boss@Example.com, second@example.org")


@pytest.fixture
def allow(engine, settings):
    """Puts rules on the list, as in ``{"@example.com": "viewer"}``."""

    def allow(rules):
        with transaction(engine) as session:
            for pattern, role in rules.items():
                people.set_person(session, settings, pattern, role, by=COMMAND, now=NOW)

    return allow


@pytest.fixture
def remove(engine):
    def remove(pattern):
        with transaction(engine) as session:
            person = session.exec(select(Person).where(Person.pattern == pattern)).one()
            people.remove_person(session, person.id, by=BOSS, now=NOW)

    return remove


@pytest.fixture
def sign_out(engine):
    def sign_out(claims, *, now=NOW):
        with transaction(engine) as session:
            people.sign_out(session, claims, now=now)

    return sign_out


@pytest.fixture
def sign_out_everywhere(engine):
    def sign_out_everywhere(email, *, by=BOSS, now=NOW):
        with transaction(engine) as session:
            people.sign_out_everywhere(session, email, by=by, now=now)

    return sign_out_everywhere


@pytest.fixture
def who(engine, settings):
    """Returns who comes in with these claims."""
    return lambda claims, now=NOW: people.identify(engine, settings, claims, now=now)


class TestReadClaims:
    def test_tells_who_signed_in_and_when(self):
        sign_in = people.read_claims(claims_of())

        assert (sign_in.email, sign_in.at) == (EMAIL, NOW)

    @pytest.mark.parametrize("verified", [True, "true"])
    def test_takes_an_address_that_is_vouched_for(self, verified):
        assert people.read_claims(claims_of(email_verified=verified)).email == EMAIL

    @pytest.mark.parametrize(
        "verified",
        [
            False,
            None,
            1,
            1.0,
            0,
            "True",
            "TRUE",
            "yes",
            "1",
            "false",
            "",
            " true",
            [True],
            ["true"],
        ],
        ids=repr,
    )
    def test_refuses_an_address_that_is_not(self, verified):
        with pytest.raises(ForbiddenError, match="did not vouch"):
            people.read_claims(claims_of(email_verified=verified))

    def test_refuses_an_address_of_which_nothing_is_said(self):
        claims = claims_of()
        del claims["email_verified"]

        with pytest.raises(ForbiddenError, match="did not vouch"):
            people.read_claims(claims)

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("ANA@Example.COM", "ana@example.com"),
            ("Kate@KAPISTA.com", "kate@kapista.com"),
            ("RITA@example.com", "rita@example.com"),
            ("  ana@example.com ", "ana@example.com"),
            ("ana+offers@example.com", "ana+offers@example.com"),
            ("o'neil@sub.example.com", "o'neil@sub.example.com"),
        ],
    )
    def test_does_not_mind_the_size_of_letters(self, written, meant):
        assert people.read_claims(claims_of(written)).email == meant

    @pytest.mark.parametrize("email", NO_ADDRESSES.values(), ids=NO_ADDRESSES)
    def test_refuses_what_is_no_plain_address(self, email):
        with pytest.raises(ForbiddenError, match="did not vouch"):
            people.read_claims(claims_of(email))

    @pytest.mark.parametrize("email", NO_TEXTS, ids=repr)
    def test_refuses_what_is_no_text(self, email):
        with pytest.raises(ForbiddenError, match="did not vouch"):
            people.read_claims(claims_of(email))

    def test_refuses_claims_without_an_address(self):
        claims = claims_of()
        del claims["email"]

        with pytest.raises(ForbiddenError, match="did not vouch"):
            people.read_claims(claims)

    @pytest.mark.parametrize("claims", [{}, {"is_logged_in": False}, {"email": EMAIL}], ids=repr)
    def test_knows_when_nobody_is_signed_in(self, claims):
        with pytest.raises(SignInError, match="Sign in to go on"):
            people.read_claims(claims)

    @pytest.mark.parametrize(
        "issued",
        [
            None,
            True,
            False,
            "1795348800",
            [1795348800],
            10**18,
            10**400,
            -(10**18),
            1e300,
            math.nan,
            math.inf,
            -math.inf,
        ],
        ids=lambda issued: repr(issued)[:20],
    )
    def test_refuses_a_sign_in_without_a_usable_time(self, issued):
        with pytest.raises(SignInError, match="Sign in to go on"):
            people.read_claims(claims_of(iat=issued))

    def test_takes_parts_of_a_second(self):
        sign_in = people.read_claims(claims_of(iat=NOW.timestamp() + 0.5))

        assert sign_in.at == NOW + timedelta(seconds=0.5)

    @pytest.mark.parametrize(
        "other",
        [{"iat": 1}, {"nonce": "n-2"}, {"sub": "x"}, {"iss": "x"}, {"jti": "x"}, {"sid": "x"}],
        ids=repr,
    )
    def test_tells_sign_ins_apart(self, other):
        digests = {people.read_claims(claims_of(**given)).digest for given in ({}, other)}

        assert len(digests) == 2

    def test_knows_a_sign_in_again(self):
        digests = {people.read_claims(claims_of(name=name)).digest for name in ("Ana", "Ana B.")}

        assert len(digests) == 1

    def test_survives_text_that_no_file_can_hold(self):
        assert len(people.read_claims(claims_of(nonce="\ud800\0")).digest) == 64


class TestIdentify:
    @pytest.mark.parametrize("role", Role)
    def test_gives_an_address_its_role(self, allow, who, role):
        allow({EMAIL: role})

        assert who(claims_of()) == Actor(EMAIL, role)

    @pytest.mark.parametrize("role", Role)
    def test_gives_a_domain_its_role(self, allow, who, role):
        allow({"@example.com": role})

        assert who(claims_of("Somebody@EXAMPLE.com")) == Actor("somebody@example.com", role)

    @pytest.mark.parametrize(
        ("address", "domain"),
        [("viewer", "admin"), ("admin", "viewer"), ("editor", "none"), ("viewer", "editor")],
    )
    def test_prefers_the_address_to_its_domain(self, allow, who, address, domain):
        allow({"@example.com": domain, EMAIL: address})

        assert who(claims_of()).role == address

    def test_keeps_an_address_out_although_its_domain_may_come_in(self, allow, who):
        allow({"@example.com": "admin", EMAIL: people.NO_ACCESS})

        with pytest.raises(ForbiddenError, match=r"ana@example\.com is not among"):
            who(claims_of())
        assert who(claims_of("eva@example.com")).role == Role.ADMIN

    def test_keeps_a_domain_out(self, allow, who):
        allow({"@example.com": people.NO_ACCESS})

        with pytest.raises(ForbiddenError):
            who(claims_of())

    @pytest.mark.parametrize(
        "email",
        [
            "ana@example.com.evil.test",
            "ana@evil.test",
            "ana@sub.example.com",
            "ana@notexample.com",
            "ana@example.co",
            "ana@com",
            "example.com@evil.test",
            "eva@example.org",
            "ana@xn--exmple-cua.com",
        ],
    )
    def test_keeps_strangers_out(self, allow, who, rows, email):
        allow({"@example.com": "admin", "ana@example.org": "admin"})
        claims = claims_of(email, hd="example.com", domain="@example.com", name="@example.com")

        with pytest.raises(ForbiddenError, match="is not among the people"):
            who(claims | {"preferred_username": EMAIL, "upn": EMAIL, "role": "admin"})

        assert rows(Visitor) == []

    def test_keeps_everyone_out_when_nobody_is_on_the_list(self, who):
        with pytest.raises(ForbiddenError):
            who(claims_of())

    def test_keeps_look_alikes_out(self, allow, who, rows):
        names = ("@example.com", "@kapista.com", "kate@example.com", "rita@example.com")
        allow(dict.fromkeys(names, "admin"))

        for email in LOOK_ALIKES.values():
            with pytest.raises(ForbiddenError, match="did not vouch"):
                who(claims_of(email))

        assert rows(Visitor) == []

    @pytest.mark.parametrize(
        "email", ["boss@example.com", "BOSS@example.COM", "second@example.org"]
    )
    @pytest.mark.parametrize(
        "rules", [{}, {"@example.com": "none", "@example.org": "viewer"}], ids=["alone", "listed"]
    )
    def test_always_lets_admin_emails_in(self, allow, who, email, rules):
        allow(rules)

        assert who(claims_of(email)) == Actor(email.lower(), Role.ADMIN)

    def test_wants_admin_emails_verified_too(self, who):
        with pytest.raises(ForbiddenError, match="did not vouch"):
            who(claims_of("boss@example.com", email_verified=False))

    def test_goes_by_the_settings_over_an_older_rule(self, engine, who):
        with transaction(engine) as session:
            session.add(
                Person(pattern="boss@example.com", role="viewer", created_by="old", created_at=NOW)
            )

        assert who(claims_of("boss@example.com")).role == Role.ADMIN

    def test_refuses_a_removed_person_at_once(self, allow, who, remove):
        allow({EMAIL: "admin"})
        assert who(claims_of()).role == Role.ADMIN

        remove(EMAIL)

        with pytest.raises(ForbiddenError, match="is not among"):
            who(claims_of())

    def test_gives_a_removed_person_what_the_domain_has(self, allow, who, remove):
        allow({EMAIL: "admin", "@example.com": "viewer"})

        remove(EMAIL)

        assert who(claims_of()).role == Role.VIEWER

    @pytest.mark.parametrize(("before", "after"), [("admin", "viewer"), ("viewer", "editor")])
    def test_gives_a_new_role_at_once(self, allow, who, before, after):
        allow({EMAIL: before})
        assert who(claims_of()).role == before

        allow({EMAIL: after})

        assert who(claims_of()).role == after

    def test_ignores_a_role_that_it_does_not_know(self, engine, who):
        with transaction(engine) as session:
            session.add(Person(pattern=EMAIL, role="owner", created_by="x", created_at=NOW))

        with pytest.raises(ForbiddenError):
            who(claims_of())


class TestLastSeen:
    def test_is_written_at_the_first_sign_in(self, allow, who, rows):
        allow({EMAIL: "viewer"})

        who(claims_of())

        assert rows(Visitor) == [{"email": EMAIL, "last_seen_at": NOW, "signed_out_before": None}]

    @pytest.mark.parametrize(
        ("later", "is_written"),
        [(0 * MINUTE, False), (4 * MINUTE, False), (5 * MINUTE, False), (5.1 * MINUTE, True)],
        ids=str,
    )
    def test_is_written_at_most_every_five_minutes(self, allow, who, rows, later, is_written):
        allow({EMAIL: "viewer"})
        who(claims_of())

        who(claims_of(), now=NOW + later)

        (visitor,) = rows(Visitor)
        assert visitor["last_seen_at"] == (NOW + later if is_written else NOW)

    def test_keeps_that_somebody_was_signed_out(self, allow, who, rows, sign_out_everywhere):
        allow({EMAIL: "viewer"})
        sign_out_everywhere(EMAIL)

        who(claims_of(at=NOW + 10 * MINUTE), now=NOW + 10 * MINUTE)

        (visitor,) = rows(Visitor)
        assert visitor["signed_out_before"] == NOW
        assert visitor["last_seen_at"] == NOW + 10 * MINUTE

    def test_is_not_written_of_who_is_signed_out(self, allow, who, rows, sign_out):
        allow({EMAIL: "viewer"})
        sign_out(claims_of())

        with pytest.raises(SignInError):
            who(claims_of())

        assert rows(Visitor) == []


class TestSignOut:
    def test_ends_this_sign_in_and_no_other(self, allow, who, sign_out):
        allow({"@example.com": "viewer"})
        here, there = claims_of(nonce="here"), claims_of(nonce="there")

        sign_out(here)

        with pytest.raises(SignInError, match="You were signed out"):
            who(here)
        assert who(there).name == EMAIL
        assert who(claims_of("eva@example.com", nonce="here")).name == "eva@example.com"

    def test_ends_it_for_good(self, allow, who, sign_out):
        allow({EMAIL: "viewer"})

        sign_out(claims_of())

        with pytest.raises(SignInError):
            who(claims_of(), now=NOW + timedelta(days=30))

    def test_twice_is_harmless(self, rows, sign_out):
        sign_out(claims_of())
        sign_out(claims_of(), now=NOW + MINUTE)

        assert len(rows(EndedSignIn)) == 1

    def test_keeps_nothing_that_names_the_person(self, rows, sign_out):
        sign_out(claims_of())

        (row,) = rows(EndedSignIn)
        assert len(row["id"]) == 64
        assert set(row) == {"id", "ended_at"}

    @pytest.mark.parametrize(("days", "left"), [(30, 2), (31, 2), (32, 1)])
    def test_is_forgotten_after_a_month(self, rows, sign_out, days, left):
        sign_out(claims_of(nonce="old"))

        sign_out(claims_of(nonce="new"), now=NOW + timedelta(days=days))

        assert len(rows(EndedSignIn)) == left

    @pytest.mark.parametrize(
        ("claims", "error"),
        [({}, SignInError), (claims_of(email_verified=False), ForbiddenError)],
        ids=["nobody", "not verified"],
    )
    def test_of_nobody_writes_nothing(self, rows, sign_out, claims, error):
        with pytest.raises(error):
            sign_out(claims)

        assert rows(EndedSignIn) == []


class TestSignOutEverywhere:
    @pytest.mark.parametrize("seen_before", [True, False])
    def test_ends_all_older_sign_ins(self, allow, who, sign_out_everywhere, seen_before):
        allow({EMAIL: "viewer"})
        older = [claims_of(at=NOW - ago, nonce=str(ago)) for ago in (0 * MINUTE, 9 * MINUTE)]
        if seen_before:
            who(older[1])

        sign_out_everywhere(EMAIL)

        for claims in older:
            with pytest.raises(SignInError, match="You were signed out"):
                who(claims)

    def test_ends_sign_ins_without_a_believable_time(self, allow, who, sign_out_everywhere):
        allow({EMAIL: "viewer"})

        sign_out_everywhere(EMAIL)

        for issued in (0, -1, -10_000.5):
            with pytest.raises(SignInError):
                who(claims_of(iat=issued))

    def test_lets_people_sign_in_again(self, allow, who, sign_out_everywhere):
        allow({EMAIL: "viewer"})

        sign_out_everywhere(EMAIL)

        assert who(claims_of(at=NOW + timedelta(seconds=1))).name == EMAIL

    def test_does_not_touch_others(self, allow, who, sign_out_everywhere):
        allow({"@example.com": "viewer"})

        sign_out_everywhere(EMAIL)

        assert who(claims_of("eva@example.com")).name == "eva@example.com"

    @pytest.mark.parametrize("role", Role)
    def test_of_oneself_needs_no_role(self, allow, who, sign_out_everywhere, role):
        allow({EMAIL: role})

        sign_out_everywhere("ANA@example.com ", by=Actor(EMAIL, role))

        with pytest.raises(SignInError):
            who(claims_of())

    @pytest.mark.parametrize("by", [VIEWER, EDITOR, ANA], ids=lambda by: by.name)
    def test_of_somebody_else_needs_an_admin(self, allow, who, rows, sign_out_everywhere, by):
        allow({EMAIL: "viewer"})
        before = rows(Activity)

        with pytest.raises(ForbiddenError, match="admin is needed"):
            sign_out_everywhere(EMAIL, by=by)

        assert rows(Visitor) == []
        assert rows(Activity) == before
        assert who(claims_of()).name == EMAIL

    def test_refuses_what_is_no_address(self, rows, sign_out_everywhere):
        for email in NO_ADDRESSES.values():
            with pytest.raises(InvalidInputError, match="e-mail address"):
                sign_out_everywhere(email)

        assert rows(Visitor) == []
        assert rows(Activity) == []

    def test_does_not_count_as_a_visit(self, engine, sign_out_everywhere):
        sign_out_everywhere(EMAIL)

        with reading(engine) as session:
            seen = people.list_visitors(session, by=BOSS)
        assert EMAIL not in [email for email, _seen in seen]

    def test_leaves_when_somebody_was_last_seen(self, allow, who, rows, sign_out_everywhere):
        allow({EMAIL: "viewer"})
        who(claims_of())

        sign_out_everywhere(EMAIL, now=NOW + 60 * MINUTE)

        (visitor,) = rows(Visitor)
        assert visitor["last_seen_at"] == NOW


class TestSetPerson:
    @pytest.mark.parametrize("role", [*Role, people.NO_ACCESS])
    @pytest.mark.parametrize(
        ("written", "kept"),
        [
            ("ana@example.com", "ana@example.com"),
            (" ANA@Example.com ", "ana@example.com"),
            ("@example.com", "@example.com"),
            (" @EXAMPLE.com ", "@example.com"),
            ("@mail.example.co.uk", "@mail.example.co.uk"),
        ],
    )
    def test_keeps_an_address_or_a_domain(self, allow, rows, written, kept, role):
        allow({written: role})

        (person,) = rows(Person)
        assert (person["pattern"], person["role"]) == (kept, role)
        assert (person["created_by"], person["created_at"]) == ("command", NOW)

    def test_changes_who_is_there(self, allow, rows):
        allow({EMAIL: "admin"})

        allow({"ANA@EXAMPLE.COM": "viewer"})

        assert [(row["pattern"], row["role"]) for row in rows(Person)] == [(EMAIL, "viewer")]

    def test_refuses_what_is_neither(self, allow, rows):
        whole = ("@example.com", EMAIL)  # what blanks at the ends are taken off
        patterns = [text for text in NO_ADDRESSES.values() if text.strip() not in whole]

        for pattern in [*patterns, *NO_DOMAINS]:
            with pytest.raises(InvalidInputError, match="Write an e-mail address"):
                allow({pattern: "viewer"})

        assert rows(Person) == []
        assert rows(Activity) == []

    def test_refuses_what_would_be_taken_for_everyone_at_a_domain(self, allow, rows):
        with pytest.raises(InvalidInputError, match="Write an e-mail address"):
            allow({"*@example.com": "none"})

        assert rows(Person) == []

    @pytest.mark.parametrize("role", ["", "Admin", "owner", "admin ", "none ", "x" * 10_000])
    def test_refuses_a_role_that_is_none(self, allow, rows, role):
        with pytest.raises(InvalidInputError, match="There is no role") as raised:
            allow({EMAIL: role})

        assert len(str(raised.value)) < 100
        assert rows(Person) == []

    @pytest.mark.parametrize("pattern", ["boss@example.com", " BOSS@example.com"])
    @pytest.mark.parametrize("role", ["none", "viewer", "admin"])
    def test_refuses_an_address_of_admin_emails(self, allow, rows, pattern, role):
        with pytest.raises(InvalidInputError, match="ADMIN_EMAILS"):
            allow({pattern: role})

        assert rows(Person) == []


class TestPermissions:
    CALLS = (
        ("list_people", lambda session, _settings, _id, by: people.list_people(session, by=by)),
        ("list_visitors", lambda session, _settings, _id, by: people.list_visitors(session, by=by)),
        (
            "set_person",
            lambda session, settings, _id, by: people.set_person(
                session, settings, EMAIL, "admin", by=by, now=NOW
            ),
        ),
        (
            "set_person to one's own address",
            lambda session, settings, _id, by: people.set_person(
                session, settings, by.name, "admin", by=by, now=NOW
            ),
        ),
        (
            "remove_person",
            lambda session, _settings, id_, by: people.remove_person(session, id_, by=by, now=NOW),
        ),
    )

    @pytest.mark.parametrize("by", [VIEWER, EDITOR], ids=lambda by: by.role)
    @pytest.mark.parametrize("call", [call for _name, call in CALLS], ids=[n for n, _c in CALLS])
    def test_are_the_admins_alone(self, engine, settings, allow, rows, call, by):
        allow({"rita@example.com": "viewer"})
        before = rows(Person), rows(Activity)
        (person,) = rows(Person)

        with (
            pytest.raises(ForbiddenError, match="admin is needed"),
            transaction(engine) as session,
        ):
            call(session, settings, person["id"], by)

        assert (rows(Person), rows(Activity)) == before

    def test_lists_are_in_order(self, engine, allow, who):
        allow({"rita@example.com": "viewer", "@example.com": "viewer", EMAIL: "none"})
        who(claims_of("zoe@example.com"), now=NOW)
        who(claims_of("eva@example.com"), now=NOW + MINUTE)

        with reading(engine) as session:
            listed = [person.pattern for person in people.list_people(session, by=BOSS)]
            seen = [email for email, _seen in people.list_visitors(session, by=BOSS)]

        assert listed == ["@example.com", EMAIL, "rita@example.com"]
        assert seen == ["eva@example.com", "zoe@example.com"]


class TestRemovePerson:
    def test_refuses_one_who_is_gone(self, engine, rows):
        for id_ in (404, 0, -1, 2**31, 2**63, 2**64, -(2**64)):
            with pytest.raises(NotFoundError, match="no longer"), transaction(engine) as session:
                people.remove_person(session, id_, by=BOSS, now=NOW)

        assert rows(Activity) == []

    def test_takes_away_that_one_only(self, allow, rows, remove):
        allow({EMAIL: "viewer", "eva@example.com": "viewer", "@example.com": "viewer"})

        remove(EMAIL)

        assert [row["pattern"] for row in rows(Person)] == ["eva@example.com", "@example.com"]


class TestRecord:
    @pytest.mark.parametrize("by", [BOSS, LOCAL, COMMAND], ids=lambda by: by.name)
    def test_names_who_let_whom_in(self, engine, settings, rows, by):
        with transaction(engine) as session:
            person = people.set_person(
                session, settings, "ANA@example.com", "viewer", by=by, now=NOW
            )
            people.set_person(session, settings, EMAIL, "none", by=by, now=NOW)
            people.remove_person(session, person.id, by=by, now=NOW)
            people.sign_out_everywhere(session, EMAIL, by=by, now=NOW)

        assert [(row["actor"], row["action"], row["detail"]) for row in rows(Activity)] == [
            (by.name, "person_added", "ana@example.com: viewer"),
            (by.name, "person_changed", "ana@example.com: none"),
            (by.name, "person_removed", "ana@example.com"),
            (by.name, "signed_out_everywhere", "ana@example.com"),
        ]
        assert {row["at"] for row in rows(Activity)} == {NOW}
        assert {row["product_id"] for row in rows(Activity)} == {None}

    def test_says_nothing_of_coming_and_going(self, who, rows, sign_out):
        who(claims_of("boss@example.com"))
        sign_out(claims_of("boss@example.com"))

        assert rows(Activity) == []
