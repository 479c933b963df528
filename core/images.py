"""The pictures of an offer. This module alone changes which picture an offer has.

Replacing, regenerating and reverting add a row to the history; only a marketer takes one out of
it, into the trash. The bytes are durable in the store before a row names them.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from core import decoding, pictures
from core.access import Actor, Role
from core.activity import Action, record
from core.database import fetch, lock, transaction
from core.errors import ConflictError, NotFoundError
from core.language import _
from core.models import Method, Product, ProductImage
from core.picture_store import FolderStore, StorageError, thumbnail_name
from core.pictures import Picture
from core.products import get_product

PICTURES_LOCK = "pictures"
"""Held by whoever names picture files in a row, and by whoever removes what no row names."""
PICTURES_PATH = "/app/static/pictures/"
"""Where picture files are served. Streamlit's own image element takes addresses below it."""


@dataclass(frozen=True, slots=True)
class Making:
    """How a picture came to be, for its history row."""

    method: Method
    created_by: str
    prompt: str | None = None
    model: str | None = None
    quality: str | None = None
    size: str | None = None
    cost_usd: Decimal | None = None
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """What a history row says of a file in the store."""

    name: str
    digest: str
    media_type: str
    width: int
    height: int
    byte_size: int


def store_picture(store: FolderStore, picture: Picture) -> StoredPicture:
    """Keep a picture and its thumbnail durably; a row may name it afterwards."""
    pictures.keep(store, picture)
    return StoredPicture(
        name=picture.name,
        digest=picture.digest,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        byte_size=picture.byte_size,
    )


def is_kept(session: Session, store: FolderStore, picture: StoredPicture) -> bool:
    """Whether the files of a picture are there, and stay until this transaction ends.

    For whoever is about to name them in a row: ``orphans.py`` asks under the same lock.
    """
    lock(session, PICTURES_LOCK)
    return store.exists(picture.name) and store.exists(thumbnail_name(picture.digest))


def replace_image(
    engine: Engine,
    store: FolderStore,
    product_id: int,
    *,
    data: bytes,
    by: Actor,
    now: datetime,
) -> ProductImage:
    """Make an uploaded file the offer's picture; the old one stays in the history.

    :raises ForbiddenError: if ``by`` is no editor
    :raises InvalidInputError: if the file isn't a picture we take; nothing is changed
    :raises NotFoundError: if the offer is gone
    :raises StorageError: if the disk does not take it
    """
    by.require(Role.EDITOR)
    stored = store_picture(store, decoding.accept_upload(data))
    making = Making(Method.MANUAL_UPLOAD, by.name)
    with transaction(engine) as session:
        get_product(session, product_id, lock=True)  # in the trash, an upload has lost its place
        image = add_image(session, store, product_id, picture=stored, making=making, now=now)
        _record(session, by, Action.IMAGE_REPLACED, image, now=now)
        return image


def add_image(
    session: Session,
    store: FolderStore,
    product_id: int,
    *,
    picture: StoredPicture,
    making: Making,
    now: datetime,
    only_if_first: bool = False,
) -> ProductImage:
    """Add a stored picture to the history and show it on the offer.

    With ``only_if_first`` it goes into the history, but an offer that has a picture keeps it.
    An offer in the trash gets it too: it was paid for.

    :raises NotFoundError: if the offer is gone
    :raises StorageError: if the store has not, or no longer, got the picture
    """
    product = get_product(session, product_id, lock=True, in_trash_too=True)
    if not is_kept(session, store, picture):
        raise StorageError(
            _("The file of this picture is no longer there, so nothing was changed. Try again.")
        )
    image = ProductImage(
        product_id=product_id,
        image_url=PICTURES_PATH + picture.name,
        generation_method=making.method,
        prompt=making.prompt,
        created_at=now,
        digest=picture.digest,
        width=picture.width,
        height=picture.height,
        byte_size=picture.byte_size,
        media_type=picture.media_type,
        model=making.model,
        quality=making.quality,
        size=making.size,
        cost_usd=making.cost_usd,
        created_by=making.created_by,
        job_id=making.job_id,
    )
    session.add(image)
    session.flush()
    if not (only_if_first and product.image_url):
        _show(product, image)
    return image


def revert(
    session: Session, product_id: int, image_id: int, *, by: Actor, now: datetime
) -> ProductImage:
    """Return to an earlier picture: a new row that points at it becomes the current one.

    Reverting to the picture that is shown already changes nothing and returns its row.

    :raises ForbiddenError: if ``by`` is no editor
    :raises NotFoundError: if the offer has no such picture in its history
    """
    by.require(Role.EDITOR)
    product = get_product(session, product_id, lock=True)
    earlier = get_image(session, product_id, image_id)
    if earlier.id == product.current_image_id:
        return earlier
    image = ProductImage(
        **earlier.model_dump(
            exclude={"id", "created_at", "created_by", "job_id", "cost_usd", "restored_from_id"}
        )
        | {"generation_method": Method.REVERTED},
        created_at=now,
        created_by=by.name,
        restored_from_id=earlier.id,
    )
    session.add(image)
    session.flush()
    _show(product, image)
    _record(session, by, Action.IMAGE_REVERTED, image, now=now)
    return image


def delete_image(
    session: Session, product_id: int, image_id: int, *, by: Actor, now: datetime
) -> None:
    """Put an earlier picture of an offer into the trash.

    :raises ForbiddenError: if ``by`` is no editor
    :raises NotFoundError: if the offer has no such picture in its history
    :raises ConflictError: if it is the picture that the offer shows
    """
    by.require(Role.EDITOR)
    product = get_product(session, product_id, lock=True)
    image = get_image(session, product_id, image_id)
    if image.id == product.current_image_id:
        raise ConflictError(
            _("This is the picture that the offer shows. Choose another one first.")
        )
    image.deleted_at = now
    _record(session, by, Action.IMAGE_DELETED, image, now=now)


def restore_image(session: Session, image_id: int, *, by: Actor, now: datetime) -> ProductImage:
    """Bring a picture back from the trash into the history; which one is shown stays.

    :raises ForbiddenError: if ``by`` is no editor
    :raises NotFoundError: if it is gone for good, or its offer is in the trash itself
    """
    by.require(Role.EDITOR)
    image = fetch(session, ProductImage, image_id, lock=True)
    if image is None:
        raise NotFoundError(_("This picture is no longer in the trash: it was emptied."))
    get_product(session, image.product_id)
    image.deleted_at = None
    _record(session, by, Action.IMAGE_RESTORED, image, now=now)
    return image


def history(session: Session, product_id: int) -> list[ProductImage]:
    """Return every picture the offer has or had, newest first, but for those in the trash."""
    rows = session.exec(
        select(ProductImage)
        .where(ProductImage.product_id == product_id, col(ProductImage.deleted_at).is_(None))
        .order_by(col(ProductImage.id).desc())
    )
    return list(rows)


def get_image(session: Session, product_id: int, image_id: int) -> ProductImage:
    """Return one row of an offer's history.

    :raises NotFoundError: if the offer has no such picture, or it is in the trash
    """
    image = fetch(session, ProductImage, image_id)
    if image is None or image.product_id != product_id or image.deleted_at:
        raise NotFoundError(_("This offer has no such picture in its history. Reload the page."))
    return image


def thumbnail_url(image_url: str) -> str:
    """Return the address of the small rendition of a picture."""
    digest = image_url.removeprefix(PICTURES_PATH).partition(".")[0]
    return PICTURES_PATH + thumbnail_name(digest)


def _record(
    session: Session, by: Actor, action: Action, image: ProductImage, *, now: datetime
) -> None:
    record(session, by, action, now=now, product_id=image.product_id, detail=str(image.id))


def _show(product: Product, image: ProductImage) -> None:
    product.image_url = image.image_url
    product.current_image_id = image.id
