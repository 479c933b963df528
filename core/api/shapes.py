"""What goes over the wire: typed, with an example of each."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from core import images
from core.models import CoverJob, Product, ProductImage, ProductNote, SyncRun
from core.products import ProductSummary

Amount = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
"""Money goes out as a JSON number; its currency stands beside it."""
Text = Annotated[str, Field(max_length=2_000)]


def or_blank(default: Any) -> BeforeValidator:
    """Return what has a parameter without a value (``?page=``) mean its default."""
    return BeforeValidator(lambda value: default if value == "" else value)


class Shape(BaseModel):
    """What all shapes have in common."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")


class Problem(Shape):
    """An error, after RFC 9457."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["This offer is no longer here."])


class HistoryRow(Shape):
    """One picture that an offer has or had."""

    id: int = Field(examples=[7])
    product_id: int = Field(examples=[3])
    image_url: str = Field(examples=["/app/static/pictures/0f…e1.jpg"])
    thumbnail_url: str = Field(examples=["/app/static/pictures/0f…e1-400.webp"])
    generation_method: str = Field(examples=["ai_generated"])
    prompt: str | None
    model: str | None = Field(examples=["gpt-image-2.5-flare"])
    quality: str | None = Field(examples=["medium"])
    size: str | None = Field(examples=["1024x1024"])
    width: int
    height: int
    media_type: str = Field(examples=["image/jpeg"])
    byte_size: int
    cost_usd: Amount | None = Field(examples=[0.0138])
    created_at: datetime
    created_by: str | None
    restored_from_id: int | None
    is_current: bool


class ProductRow(Shape):
    """One offer."""

    id: int = Field(examples=[3])
    hotmart_id: int | None = Field(examples=[5010001])
    ucode: str | None
    name: str = Field(examples=["Sourdough at Home"])
    producer_name: str | None
    origin: str = Field(examples=["promoted"])
    status: str | None = Field(examples=["ACTIVE"])
    format: str | None
    language: str | None
    price: Amount | None = Field(examples=[97.0])
    currency: str | None = Field(examples=["BRL"])
    commission_percent: Amount | None
    hotlink: str | None
    sales_page_url: str | None
    image_url: str | None
    thumbnail_url: str | None
    current_image_id: int | None
    notes_count: int
    cover_state: str | None = Field(examples=["succeeded"])
    cover_error: str | None
    first_seen_at: datetime
    last_seen_at: datetime
    archived_at: datetime | None


class ProductList(Shape):
    """One page of offers."""

    items: list[ProductRow]
    total: int = Field(examples=[131])
    page: int = Field(examples=[1])
    page_size: int = Field(examples=[24])


class NewProduct(Shape):
    """An offer typed in by hand."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Sourdough at Home"}]}
    )

    name: Text
    producer_name: Text | None = None
    language: Text | None = None
    price: Decimal | None = Field(None, ge=0, lt=10**12)
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    commission_percent: Decimal | None = Field(None, ge=0, le=100)
    hotlink: Text | None = None
    sales_page_url: Text | None = None


class ProductChanges(NewProduct):
    """What to change; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"commission_percent": 40}]}
    )

    name: Text = ""


class GenerateOrder(Shape):
    """An order for a cover; both may be left out, and so may the body."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"customPrompt": "A loaf of bread on a blue table"}]}
    )

    customPrompt: str | None = None  # noqa: N815  (the name of the system this one replaces)


class JobRow(Shape):
    """How far a cover is."""

    job_id: str = Field(examples=["cover-5a…"])
    kind: str = Field(examples=["cover"])
    state: str = Field(examples=["queued"])
    error: str | None = None
    image_id: int | None = None


class SyncStarted(Shape):
    """The sync under way."""

    run_id: int
    state: str = Field(examples=["running"])


class RunRow(Shape):
    """One sync and its counts."""

    run_id: int = Field(examples=[12])
    trigger: str = Field(examples=["api"])
    state: str = Field(examples=["succeeded"])
    started_at: datetime
    finished_at: datetime | None
    step: str | None
    step_done: int
    step_total: int | None
    seen: int
    created: int
    updated: int
    unchanged: int
    archived: int
    covers_queued: int
    error: str | None


class Status(Shape):
    """Whether Hotmart is connected, and what the last sync did."""

    connected: bool = Field(examples=[True])
    running: bool = Field(examples=[False])
    last_run: RunRow | None


class NoteText(Shape):
    """A note to write."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"note": "Sells best on Sundays."}]}
    )

    note: str


class NoteChanges(Shape):
    """What to change of a note; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"pinned": True}]})

    note: str | None = None
    pinned: bool | None = None


class NoteRow(Shape):
    """One note."""

    id: int = Field(examples=[5])
    product_id: int = Field(examples=[3])
    note: str = Field(examples=["Sells best on Sundays."])
    author: str | None
    pinned: bool
    created_at: datetime
    updated_at: datetime


class Accepted(Shape):
    """An event was taken."""

    ok: bool = Field(True, examples=[True])


def history_row(image: ProductImage, product: Product) -> HistoryRow:
    """Return a history row as it goes out."""
    return HistoryRow.model_validate(
        image.model_dump()
        | {
            "thumbnail_url": images.thumbnail_url(image.image_url),
            "is_current": image.id == product.current_image_id,
        }
    )


def product_row(summary: ProductSummary) -> ProductRow:
    """Return an offer as it goes out."""
    product, job = summary.product, summary.job
    image_url = product.image_url
    more: dict[str, Any] = {
        "thumbnail_url": images.thumbnail_url(image_url) if image_url else None,
        "notes_count": summary.notes,
        "cover_state": job.state if job else None,
        "cover_error": job.error if job else None,
    }
    return ProductRow.model_validate(product.model_dump() | more)


def job_row(job: CoverJob) -> JobRow:
    """Return a job as it goes out."""
    return JobRow(
        job_id=job.id, kind="cover", state=job.state, error=job.error, image_id=job.image_id
    )


def run_row(run: SyncRun) -> RunRow:
    """Return a sync as it goes out."""
    return RunRow.model_validate(run.model_dump() | {"run_id": run.id})


def note_row(note: ProductNote) -> NoteRow:
    """Return a note as it goes out."""
    return NoteRow.model_validate(note.model_dump())
