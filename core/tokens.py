"""Tokens with which other programs get in. A secret is shown once and kept as a hash."""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from core.access import Actor, Role
from core.database import reading, transaction
from core.errors import InvalidInputError, NotFoundError, SignInError
from core.language import _
from core.models import ApiToken
from core.text import storable

PREFIX = "capista_"
LONGEST_NAME = 100
_USE_IS_WRITTEN_EVERY = timedelta(minutes=1)


def create_token(
    session: Session,
    *,
    name: str,
    role: Role,
    created_by: str,
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Return a new token and its secret, which can't be had again.

    :raises InvalidInputError: if the name is empty, too long or not one line, or the end is past
    """
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
        created_by=created_by,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(token)
    session.flush()
    return token, secret


def identify(engine: Engine, secret: str, *, now: datetime) -> Actor:
    """Return whose token this is.

    :raises SignInError: if it is unknown, revoked or has ended
    """
    with reading(engine) as session:
        token = session.exec(select(ApiToken).where(ApiToken.digest == _digest(secret))).first()
    if token is None or token.revoked_at or (token.expires_at and token.expires_at <= now):
        raise SignInError(
            _("The token is not known, or no longer valid. Create one: python -m core token create")
        )
    if token.last_used_at is None or now - token.last_used_at > _USE_IS_WRITTEN_EVERY:
        with transaction(engine) as session:
            used = session.get(ApiToken, token.id)
            if used:
                used.last_used_at = now
    return Actor(token.name, Role(token.role), token_id=token.id)


def list_tokens(session: Session) -> list[ApiToken]:
    """Return all tokens, newest first, revoked ones too."""
    return list(session.exec(select(ApiToken).order_by(col(ApiToken.id).desc())))


def revoke_token(session: Session, token_id: int, *, now: datetime) -> ApiToken:
    """End a token; it stays in the list.

    :raises NotFoundError: if there is none with this id
    """
    token = session.get(ApiToken, token_id)
    if token is None:
        raise NotFoundError(_("There is no such token."))
    token.revoked_at = token.revoked_at or now
    return token


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
