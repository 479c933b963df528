"""Tokens with which other programs get in. A secret is shown once and kept as a hash."""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from core import people
from core.access import Actor, Role
from core.activity import Action, record
from core.database import fetch, reading, transaction
from core.errors import ForbiddenError, InvalidInputError, NotFoundError, SignInError
from core.language import _
from core.models import ApiToken
from core.settings import Settings
from core.text import storable

PREFIX = "capista_"
LONGEST_NAME = 100
_USE_IS_WRITTEN_EVERY = timedelta(minutes=1)


def create_token(
    session: Session,
    *,
    name: str,
    role: Role,
    by: Actor,
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Return a new token and its secret, which can't be had again.

    :raises ForbiddenError: if ``by`` is no admin, or is a program
    :raises InvalidInputError: if the name is empty, too long or not one line, or the end is past
    """
    by.require(Role.ADMIN)
    if by.token_id is not None:  # it could outlive the person whose rights it came from
        raise ForbiddenError(_("A token can't create tokens. Do it on the page Settings."))
    name = storable(name).strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidInputError(
            _("Give the token a name of 1 to {most} characters, on one line.").format(
                most=LONGEST_NAME
            )
        )
    if expires_at and expires_at <= now:
        raise InvalidInputError(_("The token would have ended already. Choose a later date."))
    # 256 random bits: a plain hash can't be guessed back, a slow one would only slow us.
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        name=name,
        role=role,
        digest=_digest(secret),
        created_by=by.name,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(token)
    session.flush()
    record(session, by, Action.TOKEN_CREATED, now=now, detail=f"{token.id} {name}: {role}")
    return token, secret


def identify(engine: Engine, settings: Settings, secret: str, *, now: datetime) -> Actor:
    """Return whose token this is. It may do no more than the person who created it may do now.

    :raises SignInError: if it is unknown, revoked or has ended
    """
    with reading(engine) as session:
        token = session.exec(select(ApiToken).where(ApiToken.digest == _digest(secret))).first()
        role = _role(session, settings, token) if token else None
    if token is None or token.revoked_at or (token.expires_at and token.expires_at <= now):
        raise SignInError(
            _("The token is not known, or no longer valid. Create one: python -m core token create")
        )
    if role is None:
        raise SignInError(
            _("Whoever created this token may no longer use Capista. Ask an admin for another.")
        )
    if token.last_used_at is None or now - token.last_used_at > _USE_IS_WRITTEN_EVERY:
        with transaction(engine) as session:
            used = session.get(ApiToken, token.id)
            if used:
                used.last_used_at = now
    # No person can go by such a name, so the record can't be misread.
    return Actor(f"{token.name} (token {token.id})", role, token_id=token.id)


def list_tokens(session: Session, *, by: Actor) -> list[ApiToken]:
    """Return all tokens, newest first, revoked ones too.

    :raises ForbiddenError: if ``by`` is no admin
    """
    by.require(Role.ADMIN)
    return list(session.exec(select(ApiToken).order_by(col(ApiToken.id).desc())))


def revoke_token(session: Session, token_id: int, *, by: Actor, now: datetime) -> ApiToken:
    """End a token; it stays in the list.

    :raises ForbiddenError: if ``by`` is no admin
    :raises NotFoundError: if there is none with this id
    """
    by.require(Role.ADMIN)
    token = fetch(session, ApiToken, token_id)
    if token is None:
        raise NotFoundError(_("There is no such token."))
    if token.revoked_at is None:
        token.revoked_at = now
        record(session, by, Action.TOKEN_REVOKED, now=now, detail=f"{token.id} {token.name}")
    return token


def _role(session: Session, settings: Settings, token: ApiToken) -> Role | None:
    role = Role(token.role)
    if "@" not in token.created_by:
        return role
    creator = people.role_of(session, settings, token.created_by)
    return Role.lowest(role, creator) if creator else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
