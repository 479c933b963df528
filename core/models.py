"""The tables. Facts only: rules live in the modules named after what a marketer does.

A table class does not validate its values: they are checked where they come in. Times are aware
and in UTC, money is ``Decimal`` with its currency beside it, and enums are stored as text, so
that a value Hotmart invents tomorrow is kept, not refused.
"""

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    text,
)
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time. SQLite forgets the zone, so it is given back when a row is read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Refuse a time without a zone: it would silently mean another moment."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a time zone: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """An exact amount. SQLite has no decimal type: its shortest float text is the amount again."""

    impl = Numeric(18, 6)
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        """Keep amounts as numbers on SQLite too, so that they sort."""
        return dialect.type_descriptor(Float() if dialect.name == "sqlite" else Numeric(18, 6))

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> Any:
        """Hand the amount to the driver."""
        return float(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Any) -> Decimal | None:
        """Give the amount back as a decimal."""
        return Decimal(repr(value)) if isinstance(value, float) else value


class Origin(StrEnum):
    """Where an offer came from."""

    CREATED = "created"
    PROMOTED = "promoted"
    IMPORTED = "imported"
    MANUAL = "manual"
    SAMPLE = "sample"


class Method(StrEnum):
    """How a picture came to be."""

    AI_GENERATED = "ai_generated"
    AI_EDITED = "ai_edited"
    MANUAL_UPLOAD = "manual_upload"
    TEMPLATE = "template"
    REVERTED = "reverted"


class JobState(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE_STATES = (JobState.QUEUED, JobState.RUNNING)
_is_active = text("state IN ('queued', 'running')")
_is_running = text("state = 'running'")
_is_live = text("archived_at IS NULL AND deleted_at IS NULL")
_is_archived = text("archived_at IS NOT NULL AND deleted_at IS NULL")
_is_deleted = text("deleted_at IS NOT NULL")
_IDS_ONCE = {"sqlite_autoincrement": True}
"""Else SQLite would give the newest row's number again once that row is gone for good, and what
still speaks of the number (activity, paid calls, other programs) would mean another row."""


def _time() -> Any:
    return Field(default=None, sa_type=UtcDateTime)


def _moment() -> Any:
    return Field(sa_type=UtcDateTime)


def _moment_indexed() -> Any:
    return Field(sa_type=UtcDateTime, index=True)


def _money() -> Any:
    return Field(default=None, sa_type=Money)


def _child_of_product() -> Any:
    return Field(
        sa_column=Column(
            Integer, ForeignKey("products.id", ondelete="CASCADE"), nullable=False, index=True
        )
    )


class Product(SQLModel, table=True):
    """One Hotmart offer that the marketer promotes, as of the last sync."""

    __tablename__ = "products"
    __table_args__ = (
        Index("ix_products_live_newest", "first_seen_at", "id", sqlite_where=_is_live,
              postgresql_where=_is_live),
        Index("ix_products_live_name", "search_text", "id", sqlite_where=_is_live,
              postgresql_where=_is_live),
        Index("ix_products_live_price", "price", "id", sqlite_where=_is_live,
              postgresql_where=_is_live),
        Index("ix_products_live_status", "status", sqlite_where=_is_live,
              postgresql_where=_is_live),
        Index("ix_products_live_picture", "current_image_id", "first_seen_at", "id",
              sqlite_where=_is_live, postgresql_where=_is_live),
        Index("ix_products_live_origin", "origin", "first_seen_at", "id", sqlite_where=_is_live,
              postgresql_where=_is_live),
        # Of the archived ones only: over all, SQLite would take it for every list of live ones.
        Index("ix_products_archived", "first_seen_at", "id", sqlite_where=_is_archived,
              postgresql_where=_is_archived),
        Index("ix_products_deleted", "deleted_at", sqlite_where=_is_deleted,
              postgresql_where=_is_deleted),
        _IDS_ONCE,
    )  # fmt: skip

    id: int | None = Field(default=None, primary_key=True)
    hotmart_id: int | None = Field(default=None, unique=True, sa_type=BigInteger)
    ucode: str | None = Field(default=None, unique=True)
    name: str
    producer_name: str | None = None
    origin: str
    status: str | None = None
    format: str | None = None
    language: str | None = None
    price: Decimal | None = _money()
    currency: str | None = None
    commission_percent: Decimal | None = _money()
    hotlink: str | None = None
    sales_page_url: str | None = None
    image_url: str | None = None
    """Null until the offer has its first picture."""
    current_image_id: int | None = None
    """The history row that ``image_url`` belongs to. One column, so never two current ones."""
    cover_job_id: str | None = Field(default=None, index=True)
    """The newest cover job; the card shows how it fares."""
    search_text: str = ""
    first_seen_at: datetime = _moment()
    last_seen_at: datetime = _moment()
    archived_at: datetime | None = _time()
    """Set when Hotmart stops listing the offer. Rows are hidden, never deleted."""
    deleted_at: datetime | None = _time()
    """Set when the offer was put into the trash; it can be brought back until that is emptied."""

    @property
    def is_live(self) -> bool:
        """Whether Hotmart still lists the offer."""
        return self.archived_at is None


class ProductOffer(SQLModel, table=True):
    """One price at which a product is sold."""

    __tablename__ = "product_offers"

    id: int | None = Field(default=None, primary_key=True)
    product_id: int = _child_of_product()
    code: str = Field(unique=True)
    name: str = ""
    price: Decimal | None = _money()
    currency: str | None = None
    payment_mode: str | None = None
    is_main: bool = False


class ProductImage(SQLModel, table=True):
    """One picture that an offer has, or once had."""

    __tablename__ = "product_image_history"
    __table_args__ = (
        Index("ix_product_image_history_created_at", "created_at"),
        Index("ix_product_image_history_deleted", "deleted_at", sqlite_where=_is_deleted,
              postgresql_where=_is_deleted),
        _IDS_ONCE,
    )  # fmt: skip

    id: int | None = Field(default=None, primary_key=True)
    product_id: int = _child_of_product()
    image_url: str
    generation_method: str
    prompt: str | None = None
    created_at: datetime = _moment()
    digest: str
    """SHA-256 of the file, in hexadecimal; also its name in the picture store."""
    width: int
    height: int
    byte_size: int
    media_type: str
    model: str | None = None
    quality: str | None = None
    size: str | None = None
    cost_usd: Decimal | None = _money()
    created_by: str | None = None
    restored_from_id: int | None = Field(
        default=None, foreign_key="product_image_history.id", ondelete="SET NULL", index=True
    )
    job_id: str | None = Field(default=None, unique=True)
    deleted_at: datetime | None = _time()
    """Set when the picture was put into the trash; never that of the current one."""


class ProductNote(SQLModel, table=True):
    """What a marketer wrote about an offer."""

    __tablename__ = "product_notes"
    __table_args__ = (
        Index("ix_product_notes_deleted", "deleted_at", sqlite_where=_is_deleted,
              postgresql_where=_is_deleted),
        _IDS_ONCE,
    )  # fmt: skip

    id: int | None = Field(default=None, primary_key=True)
    product_id: int = _child_of_product()
    note: str
    search_text: str = ""
    author: str | None = None
    pinned: bool = False
    created_at: datetime = _moment()
    updated_at: datetime = _moment()
    deleted_at: datetime | None = _time()
    """Set when the note was put into the trash."""


class SyncRun(SQLModel, table=True):
    """One sync: who asked for it, how far it is, what it changed."""

    __tablename__ = "sync_runs"
    __table_args__ = (
        # At most one run is under way: a second request finds this one.
        Index("ux_sync_runs_running", "state", unique=True, sqlite_where=_is_running,
              postgresql_where=_is_running),
    )  # fmt: skip

    id: int | None = Field(default=None, primary_key=True)
    trigger: str
    state: str = JobState.RUNNING
    started_at: datetime = _moment()
    finished_at: datetime | None = _time()
    step: str | None = None
    step_done: int = 0
    step_total: int | None = None
    seen: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    archived: int = 0
    covers_queued: int = 0
    error: str | None = None
    waits_until: datetime | None = _time()
    """When Hotmart is asked again after a pause; long past when it is not waited for."""


class CoverJob(SQLModel, table=True):
    """One order for a cover, from the click to the picture or the reason why there is none."""

    __tablename__ = "cover_jobs"
    __table_args__ = (
        # The same order twice while the first is under way (a double click) is one order.
        Index("ux_cover_jobs_active", "product_id", "request_digest", unique=True,
              sqlite_where=_is_active, postgresql_where=_is_active),
        Index("ix_cover_jobs_state", "state"),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    product_id: int = _child_of_product()
    sync_run_id: int | None = Field(default=None, index=True)
    """The sync that asked for it; null when the marketer did."""
    state: str = JobState.QUEUED
    is_first: bool = False
    """A first cover never displaces a picture that came meanwhile."""
    prompt: str | None = None
    """The marketer's own words; null for the words built from the offer."""
    request_digest: str
    variant: int = 0
    estimated_usd: Decimal | None = _money()
    error: str | None = None
    problem: str | None = None
    image_id: int | None = None
    painted: str | None = None
    """The painter's stored answer as JSON. A repeated job uses it instead of paying again."""
    created_by: str | None = None
    created_at: datetime = _moment()
    started_at: datetime | None = _time()
    finished_at: datetime | None = _time()
    waits_until: datetime | None = _time()
    """When the service is asked again after a pause; long past when it is not waited for."""


class PaidCall(SQLModel, table=True):
    """One request for a picture that costs money, from before it was sent."""

    __tablename__ = "paid_calls"

    id: str = Field(primary_key=True)
    job_id: str | None = Field(default=None, index=True)
    product_id: int
    """No foreign key: what was paid stays on record."""
    request_digest: str
    """SHA-256 over model, quality, size and prompt."""
    model: str | None = None
    quality: str | None = None
    size: str | None = None
    state: str
    estimated_usd: Decimal | None = _money()
    cost_usd: Decimal | None = _money()
    """What it cost; null where only the estimate is known."""
    problem: str | None = None
    asked_by: str
    asked_at: datetime = _moment_indexed()
    answered_at: datetime | None = _time()


class PictureCheck(SQLModel, table=True):
    """One check of all pictures: who asked for it, how far it is, what it found."""

    __tablename__ = "picture_checks"
    __table_args__ = (
        Index("ux_picture_checks_running", "state", unique=True, sqlite_where=_is_running,
              postgresql_where=_is_running),
    )  # fmt: skip

    id: int | None = Field(default=None, primary_key=True)
    state: str = JobState.RUNNING
    asked_by: str
    started_at: datetime = _moment()
    finished_at: datetime | None = _time()
    done: int = 0
    total: int | None = None
    lost: int = 0
    mended: int = 0
    orphans: int = 0
    lost_ones: str = "[]"
    """JSON: file, why, and the offers' ids; of the first ones only if there are very many."""
    error: str | None = None


class Orphan(SQLModel, table=True):
    """A picture whose files are in the store although nothing names it."""

    __tablename__ = "orphans"

    digest: str = Field(primary_key=True)
    found_at: datetime = _moment()


class ApiToken(SQLModel, table=True):
    """A key with which another program gets in; the secret itself is not kept."""

    __tablename__ = "api_tokens"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    role: str
    digest: str = Field(unique=True)
    """SHA-256 of the secret, in hexadecimal."""
    created_by: str
    created_at: datetime = _moment()
    expires_at: datetime | None = _time()
    last_used_at: datetime | None = _time()
    revoked_at: datetime | None = _time()


class IdempotentCall(SQLModel, table=True):
    """A call that carried an ``Idempotency-Key``, and how it was answered."""

    __tablename__ = "idempotent_calls"

    id: str = Field(primary_key=True)
    """SHA-256 over the caller, the address and the key."""
    body_digest: str
    status: int | None = None
    answer: str | None = None
    """Null while the call is under way."""
    headers: str | None = None
    created_at: datetime = _moment()


class WebhookEvent(SQLModel, table=True):
    """An event from Hotmart that was taken, so that it is not taken twice."""

    __tablename__ = "webhook_events"

    id: str = Field(primary_key=True)
    received_at: datetime = _moment()


class Person(SQLModel, table=True):
    """Who may sign in, and as what: one e-mail address, or everyone at a domain."""

    __tablename__ = "people"

    id: int | None = Field(default=None, primary_key=True)
    pattern: str = Field(unique=True)
    """``ana@example.com`` or ``@example.com``; the address wins over its domain."""
    role: str
    """A role, or ``none`` for somebody who stays out although the domain may come in."""
    created_by: str
    created_at: datetime = _moment()


class Visitor(SQLModel, table=True):
    """Somebody who has signed in, or was signed out."""

    __tablename__ = "visitors"

    email: str = Field(primary_key=True)
    last_seen_at: datetime | None = _time()
    signed_out_before: datetime | None = _time()
    """Sign-ins up to this moment count no longer, on whatever device."""


class EndedSignIn(SQLModel, table=True):
    """A sign-in that its person ended. The browser's cookie lives on; it opens nothing."""

    __tablename__ = "ended_sign_ins"

    id: str = Field(primary_key=True)
    """SHA-256 over what tells one sign-in from another."""
    ended_at: datetime = _moment()


class Activity(SQLModel, table=True):
    """Who did what, and when. Rows are only ever added."""

    __tablename__ = "activity"

    id: int | None = Field(default=None, primary_key=True)
    at: datetime = _moment()
    actor: str
    action: str
    product_id: int | None = Field(default=None, index=True)
    """No foreign key: what was done stays on record."""
    detail: str = ""
