"""The database: how it is opened, changed and brought up to date.

``transaction`` is the one place that commits; ``reading`` never changes anything.
"""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy import exc as sql
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, SQLModel
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from core.errors import DashboardError, StartError
from core.language import _

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_TIMEOUT_MS = 15_000
_LARGEST_ID = 2**31 - 1
_Row = TypeVar("_Row", bound=SQLModel)


class DatabaseError(DashboardError):
    """The database did not do what was asked, for a reason outside Capista; nothing was saved."""


def sqlite_module() -> ModuleType:
    """Return the SQLite library to use: the newer one that ships as a package, where there is."""
    try:
        import pysqlite3

        module: ModuleType = pysqlite3
        return module
    except ImportError:
        return sqlite3


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Whether this SQLite is free of the bug that can corrupt a WAL database.

    Versions 3.7.0 to 3.51.2 have it; see https://sqlite.org/wal.html#walresetbug.
    """
    return version >= (3, 51, 3)


def open_engine(url: str) -> Engine:
    """Return an engine for ``url``; for SQLite with the settings that keep data safe.

    :raises StartError: if the folder of a SQLite database can't be made
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        return create_engine(parsed, pool_pre_ping=True)
    module = sqlite_module()
    if parsed.database and parsed.database != ":memory:":
        try:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(
                _("The folder {folder} can't be made. Check DATA_DIR and its permissions.").format(
                    folder=Path(parsed.database).parent
                )
            ) from error
    engine = create_engine(parsed, module=module, connect_args={"check_same_thread": False})
    is_safe = wal_is_safe(module.sqlite_version_info)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, see below
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        if not is_safe:
            connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes the lock before it reads: what it decides on can't change under it.
        writes = connection.get_execution_options().get("capista_writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def use_wal(engine: Engine) -> None:
    """Let readers and a writer not wait for each other, where that is safe. The file remembers it.

    Apart from ``open_engine``, because a database that is refused must not be touched.
    """
    module = sqlite_module()
    if engine.dialect.name != "sqlite" or not wal_is_safe(module.sqlite_version_info):
        return
    patience = Retrying(  # SQLite's own does not cover this
        retry=retry_if_exception_type(module.OperationalError),
        wait=wait_fixed(0.05),
        stop=stop_after_delay(_BUSY_TIMEOUT_MS / 1000),
    )
    with closing(engine.raw_connection()) as connection:
        try:
            patience(connection.cursor().execute, "PRAGMA journal_mode = WAL")
        except RetryError:
            log.warning("Somebody holds the database, so it stays without WAL until the next start")


def describe(engine: Engine) -> str:
    """Return which database this is, with its version and its address, without the password."""
    with engine.connect() as connection:
        version = ".".join(str(part) for part in connection.dialect.server_version_info or ())
    return f"{engine.dialect.name} {version}, {engine.url.render_as_string(hide_password=True)}"


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """Yield a session that commits when the block ends and rolls back when it raises.

    Rows stay readable after the block.

    :raises DatabaseError: if the database is busy, full, read-only, damaged or not there
    """
    with _sentences(engine), Session(engine, expire_on_commit=False) as session:
        yield session
        session.commit()


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Yield a session that sees one state of the database, blocks nobody and saves nothing.

    :raises DatabaseError: if the database is damaged or not there
    """
    readers = engine.execution_options(capista_writes=False)
    with (
        _sentences(engine),
        Session(readers, expire_on_commit=False, autoflush=False) as session,
    ):
        yield session


@contextmanager
def _sentences(engine: Engine) -> Iterator[None]:
    """Turn what the marketer can mend into a sentence; a mistake of ours stays what it is."""
    try:
        yield
    except (sql.IntegrityError, sql.DataError, sql.ProgrammingError):
        raise
    except (sql.DBAPIError, sql.TimeoutError) as error:
        # https://sqlite.org/rescode.html; the lower byte is the family.
        code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_ERROR:
            raise
        place = engine.url.database if engine.dialect.name == "sqlite" else engine.url.host
        raise DatabaseError(_words(code).format(place=place)) from error


def _words(code: int) -> str:
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return _(
                "Another program keeps the database {place} busy, so nothing was saved. Try again"
                " in a moment; if it stays so, end that program."
            )
        case sqlite3.SQLITE_FULL:
            return _(
                "The disk is full, so nothing was saved. Make room where {place} is, then try"
                " again."
            )
        case sqlite3.SQLITE_READONLY:
            return _(
                "Capista may not write to the database {place}, so nothing was saved. Check the"
                " rights of the file and of its folder, then try again."
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _(
                "The database {place} is damaged. Stop Capista and restore a backup into a new"
                " folder (python -m core restore)."
            )
        case _:
            return _(
                "The database {place} can't be used at the moment, so nothing was saved. Check"
                " its disk, its rights and whether it runs, then try again."
            )


def fetch(session: Session, table: type[_Row], id_: int, *, lock: bool = False) -> _Row | None:
    """Return the row with this id, if there is one; an id may be any number.

    With ``lock`` nobody else changes the row before this transaction ends.
    """
    if not 0 < id_ <= _LARGEST_ID:
        return None
    return session.get(table, id_, with_for_update=lock or None)


def lock(session: Session, what: str) -> None:
    """Let no other process be at ``what`` before this transaction ends.

    On SQLite whoever writes is alone already.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:what))"), {"what": what})


def migrate(engine: Engine) -> None:
    """Bring the database to this version of Capista.

    :raises StartError: if it can't be reached, comes from a newer version, or isn't Capista's
    """
    try:
        with (
            engine.connect() as connection,
            _tables_may_be_rebuilt(connection),
            connection.begin(),
        ):
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(7203114)"))
            _upgrade(connection)
        use_wal(engine)
    except SQLAlchemyError as error:
        raise StartError(
            _(
                "The database {url} can't be used. Check DATABASE_URL, that the disk has room, and"
                " that Capista may write there."
            ).format(url=engine.url.render_as_string(hide_password=True))
        ) from error


@contextmanager
def _tables_may_be_rebuilt(connection: Connection) -> Iterator[None]:
    """Have SQLite not delete a table's children when a migration puts a new table in its place.

    Where foreign keys hold, dropping a table deletes its rows first, and theirs with them. They
    can be switched between transactions only.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    raw = connection.connection.cursor()
    raw.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys = ON")


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    present = MigrationContext.configure(connection).get_current_revision()
    if present == scripts.get_current_head():
        return
    if present is None and inspect(connection).has_table("products"):
        raise StartError(
            _(
                "The database has a table named products that Capista did not make. Point"
                " DATABASE_URL at an empty database."
            )
        )
    if present is not None and present not in {s.revision for s in scripts.walk_revisions()}:
        raise StartError(
            _(
                "The database was made by a newer version of Capista ({revision}). Update Capista,"
                " or restore a backup from before the update. Nothing was changed."
            ).format(revision=present)
        )
    command.upgrade(config, "head")
