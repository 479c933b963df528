"""One file that holds everything: the database's rows, the pictures, and a list to check them by.

The database goes in as a SQLite file of its own, whatever it is kept in, so that a backup can be
restored into either. Pictures never change once their row is there, so rows first and files
afterwards make one consistent state, while people work.
"""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Connection, Engine, Table, func, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

from core.database import migrate, open_engine, sqlite_module
from core.errors import DashboardError, StartError
from core.images import PICTURES_PATH
from core.language import _
from core.picture_store import PICTURE_NAME, FolderStore, sync_folder, thumbnail_name

_FORMAT = 1
_DATABASE, _MANIFEST, _PICTURES = "dashboard.db", "manifest.json", "pictures/"
_ROWS_AT_ONCE = 1_000
_CHUNK = 1024 * 1024
_TEMPORARY = ".capista-backup-"
_LEFT_AFTER_S = 24 * 3600.0
_OUTSIDE = (OSError, SQLAlchemyError, sqlite_module().Error)
"""What a disk, or a database, that does not work ends in."""

Progress = Callable[[int, int], None]


class BackupError(DashboardError):
    """A backup could not be made, or can't be used."""


def _quiet(_done: int, _total: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds. ``lost`` names pictures that are missing or damaged, and so left out."""

    pictures: int
    lost: list[str]


def back_up(
    engine: Engine,
    store: FolderStore,
    file: Path,
    *,
    now: datetime,
    progress: Progress = _quiet,
) -> Backup:
    """Write everything into ``file``, which must not be there, and return what it holds.

    :raises BackupError: if the file is there or can't be written
    """
    if file.exists():
        raise BackupError(
            _("{file} is there already. Choose another name; nothing was changed.").format(
                file=file
            )
        )
    try:
        _remove_leftovers(file.parent, now)
        with TemporaryDirectory(
            dir=file.parent, prefix=_TEMPORARY, ignore_cleanup_errors=True
        ) as folder:
            snapshot, part = Path(folder) / _DATABASE, Path(folder) / "backup.zip"
            names = _copy_database(engine, snapshot)
            with zipfile.ZipFile(part, "x", zipfile.ZIP_STORED) as archive:
                backup = _fill(archive, snapshot, store, names, now, progress)
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.rename(file)
            try:
                sync_folder(file.parent)
            except OSError:
                file.unlink()  # what is not sure to stay is not called a backup
                raise
    except _OUTSIDE as error:
        raise BackupError(
            _(
                "The backup was not written: {reason}. Check the disk and the folder {folder}."
            ).format(reason=_reason(error), folder=file.parent)
        ) from error
    return backup


def _remove_leftovers(folder: Path, now: datetime) -> None:
    """Remove what backups left that were killed, a day ago or longer."""
    for left in folder.glob(f"{_TEMPORARY}*"):
        if left.stat().st_mtime < now.timestamp() - _LEFT_AFTER_S:
            shutil.rmtree(left, ignore_errors=True)


def restore(engine: Engine, store: FolderStore, file: Path, *, progress: Progress = _quiet) -> int:
    """Bring a backup back into an empty Capista; return how many pictures it held.

    All of it is checked before anything is changed; the rows come last, in one transaction, so a
    restore that was cut off can be started again.

    :raises BackupError: if the backup is damaged or the place is not empty
    """
    try:
        with (
            zipfile.ZipFile(file) as archive,
            TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        ):
            manifest, lost = _read_manifest(archive)
            _check_all(archive, manifest, progress)
            _check_empty(engine, store, set(manifest))
            snapshot = Path(archive.extract(_DATABASE, folder))
            source = open_engine(f"sqlite:///{snapshot}")
            try:
                try:
                    _check_database(source, file)
                    _check_names(source, set(manifest) | lost)
                except SQLAlchemyError as error:
                    raise _damaged(file) from error
                for name in manifest:
                    if name != _DATABASE:
                        store.save(name.removeprefix(_PICTURES), archive.read(name))
                with source.connect() as old, engine.begin() as new:
                    _copy_rows(old, new)
            finally:
                source.dispose()
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise _damaged(file) from error
    except FileNotFoundError as error:
        raise BackupError(_("There is no file {file}.").format(file=file)) from error
    except _OUTSIDE as error:
        raise BackupError(
            _(
                "The backup was not brought back: {reason}. Check the disks of the backup, of the"
                " new place and for temporary files, then start the restore again."
            ).format(reason=_reason(error))
        ) from error
    return _count_pictures(manifest)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or getattr(error, "orig", None) or error)


def _copy_database(engine: Engine, snapshot: Path) -> list[str]:
    """Copy all rows, as they are at one moment; return the names of the files they speak of."""
    target = open_engine(f"sqlite:///{snapshot}")
    try:
        migrate(target)
        options: dict[str, Any] = {"capista_writes": False}
        if engine.dialect.name != "sqlite":
            options["isolation_level"] = "REPEATABLE READ"
        with engine.execution_options(**options).connect() as source, target.begin() as copy:
            _copy_rows(source, copy)
        with closing(target.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA journal_mode = DELETE")  # all of it in one file
        with target.connect() as connection:
            return _file_names(connection)
    finally:
        target.dispose()


def _copy_rows(source: Connection, target: Connection) -> None:
    for table in _tables():
        rows = source.execution_options(stream_results=True).execute(
            select(table).order_by(*table.primary_key.columns)
        )
        for chunk in rows.mappings().partitions(_ROWS_AT_ONCE):
            target.execute(insert(table), [dict(row) for row in chunk])
        if target.dialect.name == "postgresql" and "id" in table.columns:
            _count_on(target, table)


def _count_on(target: Connection, table: Table) -> None:
    """Have PostgreSQL give the next row a number after those that were copied."""
    sequence = target.scalar(
        text("SELECT pg_get_serial_sequence(:table, 'id')"), {"table": table.name}
    )
    if sequence:
        newest = target.scalar(select(func.max(table.c.id))) or 0
        target.execute(
            text("SELECT setval(:sequence, :next, false)"),
            {"sequence": sequence, "next": newest + 1},
        )


def _tables() -> Iterable[Table]:
    return SQLModel.metadata.sorted_tables


def _file_names(connection: Connection) -> list[str]:
    images = SQLModel.metadata.tables["product_image_history"].c
    names: dict[str, None] = {}
    for address, digest in connection.execute(select(images.image_url, images.digest).distinct()):
        names[address.removeprefix(PICTURES_PATH)] = None
        names[thumbnail_name(digest)] = None
    return list(names)


def _fill(
    archive: zipfile.ZipFile,
    snapshot: Path,
    store: FolderStore,
    names: list[str],
    now: datetime,
    progress: Progress,
) -> Backup:
    files = {_DATABASE: _entry(data := snapshot.read_bytes())}
    archive.writestr(_DATABASE, data)
    lost = []
    for done, name in enumerate(names):
        progress(done, len(names))
        is_thumbnail = _is_thumbnail(name)
        try:
            data = store.read(name)
        except DashboardError:
            data = b""
        if not data or (not is_thumbnail and hashlib.sha256(data).hexdigest() != name[:64]):
            lost.append(name)
            continue
        archive.writestr(_PICTURES + name, data)
        files[_PICTURES + name] = _entry(data)
    progress(len(names), len(names))
    manifest = {"format": _FORMAT, "made_at": now.isoformat(), "lost": lost, "files": files}
    archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
    return Backup(_count_pictures(files), [name for name in lost if not _is_thumbnail(name)])


def _count_pictures(names: Iterable[str]) -> int:
    pictures = [name.removeprefix(_PICTURES) for name in names if name.startswith(_PICTURES)]
    return sum(not _is_thumbnail(name) for name in pictures)


def _is_thumbnail(name: str) -> bool:
    return name == thumbnail_name(name[:64])


def _entry(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


class _Entry(BaseModel):
    sha256: str
    size: int


class _Manifest(BaseModel):
    format: int
    lost: list[str]
    files: dict[str, _Entry]


def _read_manifest(archive: zipfile.ZipFile) -> tuple[dict[str, _Entry], set[str]]:
    for member in archive.infolist():
        # As we write it: what is stored can't be larger than the file, nor need a password.
        is_plain = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
        if not is_plain or member.file_size != member.compress_size:
            raise ValueError(f"{member.filename!r} is packed in a way that backups are not")
    manifest = _Manifest.model_validate_json(archive.read(_MANIFEST))
    if manifest.format > _FORMAT:
        raise BackupError(_("The backup was made by a newer version of Capista. Update Capista."))
    return manifest.files, {_PICTURES + name for name in manifest.lost}


def _check_all(archive: zipfile.ZipFile, manifest: dict[str, _Entry], progress: Progress) -> None:
    names = archive.namelist()
    if sorted(names) != sorted([*manifest, _MANIFEST]) or _DATABASE not in manifest:
        raise ValueError("the archive does not hold what its manifest says")
    for done, (name, entry) in enumerate(manifest.items()):
        progress(done, len(manifest))
        is_picture = name.startswith(_PICTURES) and PICTURE_NAME.match(name[len(_PICTURES) :])
        if name != _DATABASE and not is_picture:
            raise ValueError(f"unexpected file {name!r}")
        if archive.getinfo(name).file_size != entry.size:
            raise ValueError(f"wrong size of {name}")
        digest = hashlib.sha256()
        with archive.open(name) as packed:
            while chunk := packed.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != entry.sha256:
            raise ValueError(f"wrong digest of {name}")
        file = name.removeprefix(_PICTURES)
        if is_picture and not _is_thumbnail(file) and not file.startswith(entry.sha256):
            raise ValueError(f"{name} is another picture than its name says")
    progress(len(manifest), len(manifest))


def _check_database(source: Engine, file: Path) -> None:
    """Bring a backup of an older version to this one; a newer one is refused in its own words."""
    if not inspect(source).has_table("alembic_version"):
        raise ValueError("no database of Capista")
    try:
        migrate(source)
    except StartError as error:
        if error.__cause__ is None:
            raise
        raise _damaged(file) from error


def _check_names(source: Engine, known: set[str]) -> None:
    with source.connect() as connection:
        missing = [n for n in _file_names(connection) if _PICTURES + n not in known]
    if missing:
        raise ValueError(f"the rows speak of {missing[0]}, which is not in the archive")


def _check_empty(engine: Engine, store: FolderStore, manifest: set[str]) -> None:
    with engine.connect() as connection:
        has_rows = any(
            connection.execute(select(table).limit(1)).first() is not None for table in _tables()
        )
    # What a restore that was cut off has brought already may stay.
    has_pictures = any(_PICTURES + path.name not in manifest for path in store.files())
    if has_rows or has_pictures:
        raise BackupError(
            _(
                "There is something here already, and a backup is restored into an empty place"
                " only. Point DATA_DIR (or DATABASE_URL and PICTURES_URL) at a new one."
            )
        )


def _damaged(file: Path) -> BackupError:
    return BackupError(
        _(
            "{file} is damaged or no backup of Capista, so nothing was restored. Use another"
            " backup."
        ).format(file=file)
    )
