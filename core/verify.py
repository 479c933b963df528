"""Whether every picture that the history names is there, whole; and mending what can be derived."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from multiprocessing.pool import ThreadPool

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

_AT_ONCE = 2
"""One waits for the disk while the other computes. More would be felt by people at their pages."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A picture that is missing or damaged: only a backup has it."""

    name: str
    why: str
    used_by: list[tuple[int, int]]
    """The ids of the offers, and of their history rows."""

    def __str__(self) -> str:
        places = ", ".join(f"offer {offer}, picture {image}" for offer, image in self.used_by)
        return f"{self.name}: {self.why} ({places})"


@dataclass(slots=True)
class Report:
    """What was found."""

    checked: int = 0
    lost: list[Lost] = field(default_factory=list)
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

    Changes no row and no picture. ``progress`` hears how many files are done, of how many; what it
    raises ends the whole.
    """
    with reading(engine) as session:
        rows = session.exec(select(ProductImage)).all()
    users: dict[str, list[ProductImage]] = {}
    for row in rows:
        users.setdefault(row.image_url.removeprefix(PICTURES_PATH), []).append(row)

    def check(name: str) -> tuple[str | None, bool]:
        return _check_and_mend(store, name, users[name][0])

    report = Report()
    progress(0, len(users))
    with ThreadPool(_AT_ONCE) as threads:  # not futures: the end of a process waits for those
        for name, (wrong, is_mended) in zip(users, threads.imap(check, users), strict=True):
            if wrong:
                used_by = [(row.product_id, row.id or 0) for row in users[name]]
                report.lost.append(Lost(name, wrong, used_by))
            if is_mended:
                report.mended.append(thumbnail_name(users[name][0].digest))
            report.checked += 1
            progress(report.checked, len(users))
    found = find_orphans(engine, store, now=datetime.now(UTC))
    report.orphans = sorted(path.name for paths in found.values() for path in paths)
    return report


def _check_and_mend(store: FolderStore, name: str, row: ProductImage) -> tuple[str | None, bool]:
    """Return what is wrong with a picture, and whether its thumbnail was made again."""
    try:
        data = store.read(name)
    except DashboardError:
        return (_("missing") if not store.exists(name) else _("can't be read")), False
    if hashlib.sha256(data).hexdigest() != row.digest or len(data) != row.byte_size:
        return _("damaged"), False
    if not name.startswith(row.digest) or media_type_of(name) != row.media_type:
        return _("not what its row says"), False
    if _has_thumbnail(store, row.digest):
        return None, False
    try:
        picture = decoding.accept_painting(data)
        store.save(thumbnail_name(row.digest), picture.thumbnail, again=True)
    except DashboardError as error:
        return str(error), False
    return None, True


def _has_thumbnail(store: FolderStore, digest: str) -> bool:
    try:
        with Image.open(BytesIO(store.read(thumbnail_name(digest))), formats=["WEBP"]) as image:
            image.load()
        return True
    except (DashboardError, OSError, ValueError, SyntaxError):
        return False
