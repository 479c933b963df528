"""Whether every picture that the history names is there, whole; and mending what can be derived."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO

from PIL import Image
from sqlalchemy import Engine
from sqlmodel import select

from core import decoding
from core.database import reading
from core.errors import DashboardError
from core.images import PICTURES_PATH
from core.language import _
from core.models import ProductImage
from core.orphans import find_orphans
from core.picture_store import FolderStore, media_type_of, thumbnail_name


@dataclass(slots=True)
class Report:
    """What was found, a line for each file, with the offers and history rows that use it."""

    checked: int = 0
    lost: list[str] = field(default_factory=list)
    """Missing or damaged; only a backup has them."""
    mended: list[str] = field(default_factory=list)
    """Thumbnails that were made again."""
    orphans: list[str] = field(default_factory=list)
    """Files that nothing names any more. They do no harm, and ``orphans.py`` removes them."""

    @property
    def is_well(self) -> bool:
        """Whether nothing is lost."""
        return not self.lost


def verify(
    engine: Engine,
    store: FolderStore,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Read every picture of the history, compare it with its row, and mend thumbnails.

    Changes no row and no picture. ``progress`` hears how many files are done, of how many.
    """
    with reading(engine) as session:
        rows = session.exec(select(ProductImage)).all()
    users: dict[str, list[ProductImage]] = {}
    for row in rows:
        users.setdefault(row.image_url.removeprefix(PICTURES_PATH), []).append(row)
    report = Report()
    for done, (name, theirs) in enumerate(users.items()):
        progress(done, len(users))
        wrong = _check(store, name, theirs[0])
        if wrong:
            places = ", ".join(f"offer {row.product_id}, picture {row.id}" for row in theirs)
            report.lost.append(f"{name}: {wrong} ({places})")
        elif not _has_thumbnail(store, theirs[0].digest):
            _mend(store, name, report)
        report.checked += 1
    progress(len(users), len(users))
    found = find_orphans(engine, store, now=datetime.now(UTC))
    report.orphans = sorted(path.name for paths in found.values() for path in paths)
    return report


def _check(store: FolderStore, name: str, row: ProductImage) -> str | None:
    try:
        data = store.read(name)
    except DashboardError:
        return _("missing") if not store.exists(name) else _("can't be read")
    if hashlib.sha256(data).hexdigest() != row.digest or len(data) != row.byte_size:
        return _("damaged")
    if not name.startswith(row.digest) or media_type_of(name) != row.media_type:
        return _("not what its row says")
    return None


def _has_thumbnail(store: FolderStore, digest: str) -> bool:
    try:
        with Image.open(BytesIO(store.read(thumbnail_name(digest))), formats=["WEBP"]) as image:
            image.load()
        return True
    except (DashboardError, OSError, ValueError, SyntaxError):
        return False


def _mend(store: FolderStore, name: str, report: Report) -> None:
    try:
        picture = decoding.accept_painting(store.read(name))
        store.save(picture.thumbnail_name, picture.thumbnail, again=True)
        report.mended.append(picture.thumbnail_name)
    except DashboardError as error:
        report.lost.append(f"{name}: {error}")
