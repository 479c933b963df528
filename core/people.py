"""People who sign in: who may come in, as what, and which sign-ins count.

A sign-in lives in a cookie of the browser for weeks and can't be taken back. So nothing is
remembered of it here: who somebody is, and what they may do, is looked up at every click.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from core.access import Actor, Role
from core.activity import Action, record
from core.database import fetch, reading, transaction
from core.errors import ForbiddenError, InvalidInputError, NotFoundError, SignInError
from core.language import _
from core.models import EndedSignIn, Person, Visitor
from core.settings import Settings, plain_address

NO_ACCESS = "none"
"""Beside the roles: stays out, although the domain may come in."""
_SEEN_IS_WRITTEN_EVERY = timedelta(minutes=5)
_COOKIE_LASTS = timedelta(days=31)
"""Streamlit's lasts 30 days; an ended sign-in need not be remembered for longer."""
_DOMAIN = re.compile(r"@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_TELLS_APART = ("iss", "sub", "email", "iat", "exp", "auth_time", "nonce", "jti", "sid", "at_hash")


@dataclass(frozen=True, slots=True)
class SignIn:
    """One sign-in, as the sign-in service vouches for it."""

    email: str
    """In small letters."""
    at: datetime
    digest: str
    """Tells it from every other sign-in, of the same person too."""


def read_claims(claims: Mapping[str, Any]) -> SignIn:
    """Return what the claims of an OpenID token say; the token was checked when it came.

    Only a verified address counts, and only plain letters: ``K`` (Kelvin) is no ``k``.
    Claims: https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims

    :raises SignInError: if nobody is signed in
    :raises ForbiddenError: if no verified, plain e-mail address comes with it
    """
    issued = claims.get("iat")
    if not isinstance(issued, int | float) or isinstance(issued, bool):
        raise SignInError(_("Sign in to go on."))
    email = plain_address(claims.get("email"))
    verified = claims.get("email_verified")
    if email is None or not (verified is True or verified == "true"):
        raise ForbiddenError(
            _(
                "The sign-in service did not vouch for your e-mail address, so Capista can't let"
                " you in. Confirm the address there, or sign in with another account."
            )
        )
    told = json.dumps([str(claims.get(name)) for name in _TELLS_APART])
    try:
        at = datetime.fromtimestamp(issued, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise SignInError(_("Sign in to go on.")) from error
    return SignIn(email, at, hashlib.sha256(told.encode("utf-8", "replace")).hexdigest())


def identify(
    engine: Engine, settings: Settings, claims: Mapping[str, Any], *, now: datetime
) -> Actor:
    """Return who is signed in, with the role they have at this moment.

    :raises SignInError: if nobody is, or the sign-in was ended
    :raises ForbiddenError: if this person may not come in
    """
    sign_in = read_claims(claims)
    with reading(engine) as session:
        visitor = session.get(Visitor, sign_in.email)
        is_over = session.get(EndedSignIn, sign_in.digest) is not None or (
            visitor is not None
            and visitor.signed_out_before is not None
            and sign_in.at <= visitor.signed_out_before
        )
        role = role_of(session, settings, sign_in.email)
    if is_over:
        raise SignInError(_("You were signed out. Sign in again to go on."))
    if role is None:
        raise ForbiddenError(
            _(
                "{email} is not among the people who may use this Capista. Ask whoever administers"
                " it to add you, or sign in with another account."
            ).format(email=sign_in.email)
        )
    seen = visitor.last_seen_at if visitor else None
    if seen is None or now - seen > _SEEN_IS_WRITTEN_EVERY:
        with transaction(engine) as session:
            _visitor(session, sign_in.email).last_seen_at = now
    return Actor(sign_in.email, role)


def role_of(session: Session, settings: Settings, email: str) -> Role | None:
    """Return what the person with this address may do; None if they may not come in."""
    if email in settings.admins:
        return Role.ADMIN
    domain = "@" + email.rpartition("@")[2]
    rules = {
        person.pattern: person.role
        for person in session.exec(select(Person).where(col(Person.pattern).in_([email, domain])))
    }
    role = rules.get(email) or rules.get(domain)
    return Role(role) if role in set(Role) else None


def list_people(session: Session, *, by: Actor) -> list[Person]:
    """Return who may come in, by address; whoever ADMIN_EMAILS names is not among them.

    :raises ForbiddenError: if ``by`` is no admin; so it is with all that follows
    """
    by.require(Role.ADMIN)
    return list(session.exec(select(Person).order_by(col(Person.pattern))))


def list_visitors(session: Session, *, by: Actor) -> list[tuple[str, datetime]]:
    """Return who has signed in and when they were last seen, the last one first."""
    by.require(Role.ADMIN)
    seen = col(Visitor.last_seen_at)
    query = select(Visitor).where(seen.is_not(None)).order_by(seen.desc())
    return [(v.email, v.last_seen_at) for v in session.exec(query) if v.last_seen_at]


def set_person(
    session: Session, settings: Settings, pattern: str, role: str, *, by: Actor, now: datetime
) -> Person:
    """Let an address, or everyone at a domain, come in with this role; or change the role.

    ``pattern`` is ``ana@example.com`` or ``@example.com``; ``role`` a role or ``NO_ACCESS``.

    :raises InvalidInputError: if it is neither, or the role of this address is fixed
    """
    by.require(Role.ADMIN)
    if role not in {*Role, NO_ACCESS}:
        raise InvalidInputError(_("There is no role {role}.").format(role=repr(role[:40])))
    pattern = _checked(pattern)
    if pattern in settings.admins:
        raise InvalidInputError(
            _("{email} is named in ADMIN_EMAILS and so is always admin.").format(email=pattern)
        )
    person = session.exec(select(Person).where(Person.pattern == pattern)).first()
    action = Action.PERSON_CHANGED if person else Action.PERSON_ADDED
    if person is None:
        person = Person(pattern=pattern, role=role, created_by=by.name, created_at=now)
        session.add(person)
    person.role = role
    session.flush()
    record(session, by, action, now=now, detail=f"{pattern}: {role}")
    return person


def remove_person(session: Session, person_id: int, *, by: Actor, now: datetime) -> None:
    """Let an address, or a domain, come in no longer; that holds from the next click on.

    :raises NotFoundError: if it is gone already
    """
    by.require(Role.ADMIN)
    person = fetch(session, Person, person_id)
    if person is None:
        raise NotFoundError(_("This person is no longer on the list."))
    session.delete(person)
    record(session, by, Action.PERSON_REMOVED, now=now, detail=person.pattern)


def sign_out(session: Session, claims: Mapping[str, Any], *, now: datetime) -> None:
    """End one sign-in, in all tabs of the browser it belongs to.

    :raises DashboardError: as ``read_claims``
    """
    sign_in = read_claims(claims)
    session.execute(delete(EndedSignIn).where(col(EndedSignIn.ended_at) < now - _COOKIE_LASTS))
    session.merge(EndedSignIn(id=sign_in.digest, ended_at=now))


def sign_out_everywhere(session: Session, email: str, *, by: Actor, now: datetime) -> None:
    """End all sign-ins that a person has, on every device. One may do that to oneself.

    :raises ForbiddenError: if it is somebody else, and ``by`` is no admin
    :raises InvalidInputError: if this is no e-mail address
    """
    address = plain_address(email)
    if address is None:
        raise InvalidInputError(_("Write an e-mail address, as in ana@example.com."))
    if by.name != address:
        by.require(Role.ADMIN)
    _visitor(session, address).signed_out_before = now
    record(session, by, Action.SIGNED_OUT_EVERYWHERE, now=now, detail=address)


def _visitor(session: Session, email: str) -> Visitor:
    visitor = session.get(Visitor, email)
    if visitor is None:
        visitor = Visitor(email=email)
        try:
            with session.begin_nested():
                session.add(visitor)
        except IntegrityError:  # another tab was quicker
            visitor = session.get_one(Visitor, email)
    return visitor


def _checked(pattern: str) -> str:
    pattern = pattern.strip()
    if _DOMAIN.fullmatch(pattern) and len(pattern) <= 254:
        return pattern.lower()
    address = plain_address(pattern)
    if address is None:
        raise InvalidInputError(
            _(
                "Write an e-mail address, as in ana@example.com, or a domain, as in @example.com,"
                " in plain letters."
            )
        )
    return address
