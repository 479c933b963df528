"""What a process may be killed in the middle of: each deed, and what must hold afterwards.

A deed runs in a process of its own, on one thread, so that it makes the same calls each time.
"""

import ctypes
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlmodel import func, select

from core import backup, covers, decoding, images, notes, orphans, sync, trash
from core.access import LOCAL, UPKEEP
from core.app import App, create_app
from core.database import MIGRATIONS, open_engine, reading, transaction
from core.errors import DashboardError
from core.images import PICTURES_PATH
from core.ledger import CallState
from core.models import (
    Activity,
    CoverJob,
    JobState,
    Method,
    Orphan,
    PaidCall,
    Product,
    ProductImage,
    ProductNote,
    SyncRun,
)
from core.settings import Settings
from core.sync import Trigger
from core.verify import verify
from tests.builders import make_picture, make_product
from tests.contents import everything

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OLD, OTHER, NEW = (make_picture(colour) for colour in ("teal", "navy", "tomato"))
_ONLY_ADDED = ("product_image_history", "activity", "product_notes", "products")

Findings = list[str]
_ANY_TRACER = (0x59616D61, ctypes.c_ulong(-1))
"""PR_SET_PTRACER: strace is not our parent."""


def open_app(folder: Path, **settings: Any) -> App:
    """Open Capista on a folder, whatever the machine's own settings are."""
    return create_app(Settings(_env_file=None, data_dir=folder / "data", **settings))


def nothing(*_given: Any) -> None:
    """Do nothing."""


def no_findings(*_given: Any) -> Findings:
    """Find nothing wrong."""
    return []


@dataclass(frozen=True)
class Deed:
    """Something that changes files, for ``app`` in ``folder``."""

    name: str
    act: Callable[[App, Path], Any]
    check: Callable[[App, Path, bool], Findings] = no_findings
    """What is wrong afterwards; told whether ``act`` said that it was done."""
    begin: Callable[[App, Path], Any] = nothing
    resume: Callable[[App, Path], Any] = nothing
    """What the next start does by itself."""
    deletes: bool = False
    """Rows may go."""
    is_opening: bool = False
    """The deed is to open Capista; there is no ``app`` yet."""


def prepare(deed: Deed, folder: Path, **settings: Any) -> None:
    """Fill an empty folder with what the deed starts from, and note what must not be lost."""
    (folder / "data").mkdir(parents=True)
    if deed.is_opening:
        deed.begin(None, folder)  # type: ignore[arg-type]
        return
    app = open_app(folder, **settings)
    with transaction(app.engine) as session:
        session.add_all([make_product(name="Piano"), make_product(name="Sourdough")])
    for data in (OLD, OTHER):
        images.replace_image(app.engine, app.store, 1, data=data, by=LOCAL, now=NOW)
    with transaction(app.engine) as session:
        notes.add_note(session, 1, text="the first note", by=LOCAL, now=NOW)
    deed.begin(app, folder)
    (folder / "before.json").write_text(json.dumps(everything(app.engine), default=str))
    app.engine.dispose()


def examine(deed: Deed, folder: Path, *, done: bool, **settings: Any) -> Findings:
    """Start again after a crash, and return what is wrong."""
    app = open_app(folder, **settings)
    try:
        deed.resume(app, folder)
        lost = [] if deed.deletes else _lost(app, folder)
        return [*_unsound(app), *lost, *deed.check(app, folder, done)]
    finally:
        app.engine.dispose()


def _unsound(app: App) -> Findings:
    """Return what must never be, whatever was done."""
    found: Findings = []
    with app.engine.connect() as connection:
        for pragma, fine in (("integrity_check", [("ok",)]), ("foreign_key_check", [])):
            rows = [tuple(row) for row in connection.exec_driver_sql(f"PRAGMA {pragma}")]
            found += [f"{pragma}: {rows}"] if rows != fine else []
    found += [f"lost: {line}" for line in verify(app.engine, app.store).lost]
    for path in app.store.files():
        try:
            decoding.accept_painting(path.read_bytes())
        except Exception as error:
            found.append(f"half a file is visible: {path.name}: {error}")
    with reading(app.engine) as session:
        for product in session.exec(select(Product)):
            image = session.get(ProductImage, product.current_image_id or 0)
            shown = (image.image_url, image.product_id) if image else (None, product.id)
            if shown != (product.image_url, product.id):
                found.append(f"offer {product.id} shows a picture that is not its own")
    return found


def _lost(app: App, folder: Path) -> Findings:
    """Return the rows that were there before and are not any more."""
    file = folder / "before.json"
    if not file.exists():
        return []
    now = everything(app.engine)
    return [
        f"{table} lost row {row[0]}"
        for table, rows in json.loads(file.read_text()).items()
        if table in _ONLY_ADDED
        for row in rows
        if row[0] not in {here[0] for here in now[table]}
    ]


def _count(app: App, table: type[Any], *conditions: Any) -> int:
    with reading(app.engine) as session:
        return session.exec(select(func.count()).select_from(table).where(*conditions)).one()


def _grown(app: App, folder: Path, done: bool, *tables: type[Any]) -> Findings:
    """Return what is wrong unless each table grew by one row, or none if it was not done."""
    before = json.loads((folder / "before.json").read_text())
    grown = [_count(app, table) - len(before[table.__tablename__]) for table in tables]
    allowed = [[1] * len(tables)] if done else [[0] * len(tables), [1] * len(tables)]
    return [] if grown in allowed else [f"tables grew by {grown}, where {allowed} may be"]


# What people do


def _upload(app: App, _folder: Path) -> None:
    images.replace_image(app.engine, app.store, 2, data=NEW, by=LOCAL, now=NOW)


def _upload_row_first(app: App, _folder: Path) -> None:
    """Do it in the wrong order, on purpose: to see that the harness would notice."""
    picture = decoding.accept_upload(NEW)
    with transaction(app.engine) as session:
        image = ProductImage(
            product_id=2, image_url=PICTURES_PATH + picture.name, created_at=NOW,
            generation_method=Method.MANUAL_UPLOAD, digest=picture.digest, width=picture.width,
            height=picture.height, byte_size=picture.byte_size, media_type=picture.media_type,
        )  # fmt: skip
        session.add(image)
        session.flush()
        product = session.get_one(Product, 2)
        product.image_url, product.current_image_id = image.image_url, image.id
    images.store_picture(app.store, picture)


def _revert(app: App, _folder: Path) -> None:
    with transaction(app.engine) as session:
        images.revert(session, 1, 1, by=LOCAL, now=NOW)


def _note(app: App, _folder: Path) -> None:
    with transaction(app.engine) as session:
        notes.add_note(session, 2, text="a second note", by=LOCAL, now=NOW)


def _has_picture_row(app: App, folder: Path, done: bool) -> Findings:
    return _grown(app, folder, done, ProductImage, Activity)


def _has_note(app: App, folder: Path, done: bool) -> Findings:
    return _grown(app, folder, done, ProductNote, Activity)


# What jobs do


def _sync(app: App, _folder: Path) -> None:
    with transaction(app.engine) as session:
        run, _is_new = sync.start_run(session, trigger=Trigger.BUTTON, by=LOCAL, now=NOW)
    sync.run_sync(app.engine, app.catalogue, app.settings, run.id or 0)


def _go_on_syncing(app: App, _folder: Path) -> None:
    with reading(app.engine) as session:
        run = sync.running_run(session)
    if run:
        sync.run_sync(app.engine, app.catalogue, app.settings, run.id or 0)


def _has_synced(app: App, folder: Path, done: bool) -> Findings:
    runs = _count(app, SyncRun, SyncRun.state == JobState.SUCCEEDED)
    offers = _count(app, Product, Product.origin == "sample")
    orders = _count(app, CoverJob)
    catalogue = len(list(app.catalogue.read_catalogue(now=NOW, report=nothing)))
    allowed = [(1, catalogue, catalogue)] + ([] if done else [(0, 0, 0)])
    found = (runs, offers, orders)
    return [] if found in allowed else [f"runs, offers, orders: {found}, not {allowed}"]


def _cover(app: App, folder: Path) -> None:
    with transaction(app.engine) as session:
        covers.order_cover(session, app.settings, 2, prompt="a loaf", by=LOCAL, now=NOW)
    _go_on_painting(app, folder)


def _go_on_painting(app: App, _folder: Path) -> None:
    for job in covers.unfinished_jobs(app.engine):
        covers.paint_cover(
            app.engine, app.store, app.painter, app.settings, job.id, now=datetime.now(UTC)
        )
        with transaction(app.engine) as session:
            covers.attach_cover(session, app.store, job.id, now=datetime.now(UTC))


def _has_cover(app: App, folder: Path, done: bool) -> Findings:
    found = _grown(app, folder, done, CoverJob, ProductImage)
    with reading(app.engine) as session:
        calls = [call.state for call in session.exec(select(PaidCall))]
    if CallState.ASKED in calls or calls.count(CallState.CHARGED) > 1:
        found.append(f"paid calls: {calls}")
    return found


# What keeps it safe


def _backup(app: App, folder: Path) -> None:
    backup.back_up(app.engine, app.store, folder / "backup.zip", now=NOW)


def _is_whole_backup(app: App, folder: Path, done: bool) -> Findings:
    file = folder / "backup.zip"
    if not file.exists():
        _backup(app, folder)
        return ["no backup, though it said so"] if done else []
    return _restored(app, folder / "elsewhere", file)


def _restored(app: App, place: Path, file: Path) -> Findings:
    other = open_app(place)
    try:
        backup.restore(other.engine, other.store, file)
        same = everything(other.engine) == everything(app.engine)
        return [*_unsound(other), *([] if same else ["the backup holds other rows"])]
    finally:
        other.engine.dispose()


def _restore(app: App, folder: Path) -> None:
    other = open_app(folder / "elsewhere")
    backup.restore(other.engine, other.store, folder / "backup.zip")
    other.engine.dispose()


def _is_restored(app: App, folder: Path, done: bool) -> Findings:
    other = open_app(folder / "elsewhere")
    try:
        if _count(other, Product) == 0:
            if done:
                return ["nothing was restored, though it said so"]
            backup.restore(other.engine, other.store, folder / "backup.zip")
        same = everything(other.engine) == everything(app.engine)
        return [*_unsound(other), *([] if same else ["other rows were restored"])]
    finally:
        other.engine.dispose()


def _fill_trash(app: App, _folder: Path) -> None:
    with transaction(app.engine) as session:
        images.delete_image(session, 1, 1, by=LOCAL, now=NOW)
        notes.delete_note(session, 1, by=LOCAL, now=NOW)


def _empty_trash(app: App, _folder: Path) -> None:
    with transaction(app.engine) as session:
        trash.empty_trash(session, app.settings, until=NOW, by=LOCAL, now=NOW)


def _is_emptied(app: App, _folder: Path, done: bool) -> Findings:
    left = (_count(app, ProductImage), _count(app, ProductNote))
    allowed = [(1, 0)] if done else [(1, 0), (2, 1)]
    return [] if left in allowed else [f"pictures, notes: {left}, where {allowed} may be"]


def _make_orphans(app: App, _folder: Path) -> None:
    picture = decoding.accept_upload(NEW)
    images.store_picture(app.store, picture)
    half = app.store.path(picture.name).with_name(f".{picture.name}.0.part")
    half.write_bytes(b"half")
    three_days = time.time() - 3 * 86_400
    for path in (half, *app.store.files()):  # those that rows name are as old
        os.utime(path, (three_days, three_days))
    with transaction(app.engine) as session:
        two_days = datetime.now(UTC) - timedelta(days=2)
        session.add(Orphan(digest=picture.digest, found_at=two_days))


def _clean_up(app: App, _folder: Path) -> None:
    orphans.remove_orphans(app.engine, app.store, by=UPKEEP, now=datetime.now(UTC))


def _is_clean(app: App, folder: Path, _done: bool) -> Findings:
    _clean_up(app, folder)
    left = [*app.store.files(), *app.store.leftovers()]
    return [] if len(left) == 4 else [f"files left: {[path.name for path in left]}"]


# Opening


def _open(_app: App, folder: Path) -> None:
    open_app(folder)


def _make_old_database(_app: App, folder: Path) -> None:
    """Make a database as the first version left it, with an offer, its picture and a note."""
    engine = open_engine(f"sqlite:///{folder}/data/dashboard.db")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO products (id, name, origin, search_text, first_seen_at, last_seen_at)"
            " VALUES (1, 'Piano', 'manual', 'piano', '2026-01-01', '2026-01-01')"
        )
        connection.exec_driver_sql(
            "INSERT INTO product_notes (id, product_id, note, search_text, pinned, created_at,"
            " updated_at) VALUES (1, 1, 'kept', 'kept', 0, '2026-01-01', '2026-01-01')"
        )
    engine.dispose()


def _is_upgraded(app: App, _folder: Path, _done: bool) -> Findings:
    with reading(app.engine) as session:
        rows = [(p.name, n.note) for p in session.exec(select(Product)) for n in
                session.exec(select(ProductNote))]  # fmt: skip
    return [] if rows == [("Piano", "kept")] else [f"rows after the upgrade: {rows}"]


DEEDS = {
    deed.name: deed
    for deed in (
        Deed("start", _open, is_opening=True),
        Deed("migration", _open, _is_upgraded, begin=_make_old_database, is_opening=True),
        Deed("sync", _sync, _has_synced, resume=_go_on_syncing),
        Deed("cover", _cover, _has_cover, resume=_go_on_painting),
        Deed("upload", _upload, _has_picture_row),
        Deed("revert", _revert, _has_picture_row),
        Deed("note", _note, _has_note),
        Deed("backup", _backup, _is_whole_backup),
        Deed("restore", _restore, _is_restored, begin=_backup),
        Deed("empty trash", _empty_trash, _is_emptied, begin=_fill_trash, deletes=True),
        Deed("clean-up", _clean_up, _is_clean, begin=_make_orphans),
    )
}
WRONG = Deed("upload, row before bytes", _upload_row_first, no_findings)
"""Must be caught."""


def live(name: str, folder: Path, settings: dict[str, Any], parent: Connection) -> None:
    """Do a deed when the parent says so, and tell how it went; again, if it was refused."""
    deed = WRONG if name == WRONG.name else DEEDS[name]
    app = None if deed.is_opening else open_app(folder, **settings)
    decoding.accept_painting(OLD)  # a decoder is there, as in a server that runs
    with suppress(AttributeError):
        ctypes.CDLL(None).prctl(*_ANY_TRACER)
    parent.send("ready")
    parent.recv()
    word = _try(deed, app, folder)
    parent.send((word, _try(deed, app, folder) if word.startswith("refused") else ""))
    os._exit(0)


def _try(deed: Deed, app: Any, folder: Path) -> str:
    try:
        deed.act(app, folder)
    except DashboardError as error:
        return f"refused: {error}"
    except Exception as error:
        return f"broke: {error!r}"
    return "done"
