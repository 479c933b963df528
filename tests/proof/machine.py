"""What people read when the machine fails, and that it is over when the cause is gone.

``python -m tests.proof.machine`` prints a table; it ends with 1 if a fault ends in no sentence,
loses or changes a row, or does not pass. The full disk is a small one of its own, which takes root.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from core import images, notes
from core.access import LOCAL
from core.app import App, alone
from core.database import open_engine, sqlite_module, transaction
from core.errors import DashboardError
from tests.builders import make_picture, make_product
from tests.contents import everything
from tests.proof.deeds import NOW, open_app

Fault = Callable[[App, Path], Iterator[App | None]]
FAULTS: dict[str, tuple[Callable[[App], None], Fault]] = {}


def _note(app: App) -> None:
    with transaction(app.engine) as session:
        notes.add_note(session, 1, text="a note", by=LOCAL, now=NOW)


def _upload(app: App) -> None:
    images.replace_image(app.engine, app.store, 1, data=make_picture("navy"), by=LOCAL, now=NOW)


def _start(app: App) -> None:
    open_app(app.settings.data_dir.parent).engine.dispose()


def _serve(app: App) -> None:
    with alone(app.settings):
        pass


def fault(name: str, deed: Callable[[App], None]) -> Callable[[Fault], Fault]:
    """Register a fault; it yields the App that meets it, or nothing for the one there is."""

    def register(function: Fault) -> Fault:
        FAULTS[name] = (deed, function)
        return function

    return register


@fault("another program holds the database", _note)
def _held(app: App, folder: Path) -> Iterator[App | None]:
    with closing(sqlite_module().connect(f"{folder}/data/dashboard.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        yield None


@fault("the disk is full: a note", _note)
def _full(app: App, folder: Path) -> Iterator[App | None]:
    with _filled(folder / "data"):
        yield None


@fault("the disk is full: an upload", _upload)
def _full_for_pictures(app: App, folder: Path) -> Iterator[App | None]:
    with _filled(folder / "data"):
        yield None


@fault("the database may only be read", _note)
def _read_only(app: App, folder: Path) -> Iterator[App | None]:
    engine = open_engine(f"sqlite:///file:{folder}/data/dashboard.db?mode=ro&uri=true")
    yield replace(app, engine=engine)
    engine.dispose()


@fault("the folder of the pictures is gone (a disk that is not mounted)", _upload)
def _unmounted(app: App, folder: Path) -> Iterator[App | None]:
    pictures = folder / "data" / "pictures"
    pictures.rename(folder / "elsewhere")
    yield None
    (folder / "elsewhere").rename(pictures)


@fault("the folder of the pictures can't be written, at the start", _start)
def _in_the_way(app: App, folder: Path) -> Iterator[App | None]:
    pictures = folder / "data" / "pictures"
    pictures.rename(folder / "elsewhere")
    pictures.write_text("a file is in the way")
    yield None
    pictures.unlink()
    (folder / "elsewhere").rename(pictures)


@fault("the database is damaged", _note)
def _damaged(app: App, folder: Path) -> Iterator[App | None]:
    harmed = folder / "harmed.db"
    with closing(app.engine.raw_connection()) as connection:
        connection.cursor().execute(f"VACUUM INTO '{harmed}'")
    whole = harmed.read_bytes()
    harmed.write_bytes(whole[:4096] + os.urandom(len(whole) - 4096))
    engine = open_engine(f"sqlite:///{harmed}")
    yield replace(app, engine=engine)
    engine.dispose()


@fault("the database was made by a newer version", _start)
def _newer(app: App, folder: Path) -> Iterator[App | None]:
    def set_version(version: str) -> str:
        with app.engine.begin() as connection:
            old = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
        return str(old)

    before = set_version("9999")
    yield None
    set_version(before)


@fault("a second server on the same folder", _serve)
def _second(app: App, folder: Path) -> Iterator[App | None]:
    with alone(app.settings):
        yield None


@contextmanager
def _filled(folder: Path) -> Iterator[None]:
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    try:
        yield
    finally:
        ballast.unlink()


def meet(name: str, folder: Path) -> tuple[str, list[str]]:
    """Meet a fault in an empty folder; return the sentence and what is wrong."""
    deed, function = FAULTS[name]
    app = open_app(folder)
    with transaction(app.engine) as session:
        session.add(make_product())
    _upload(app)
    before = everything(app.engine)
    found, sentence = [], ""
    meeting = contextmanager(function)(app, folder)
    with meeting as other:
        try:
            deed(other or app)
            found.append("nothing was said")
        except DashboardError as error:
            sentence = str(error).replace(str(folder), "…")
        except Exception as error:
            found.append(f"no sentence: {error!r}")
    if everything(app.engine) != before:
        found.append("rows were changed")
    try:
        deed(app)
    except Exception as error:
        found.append(f"it does not pass: {error!r}")
    app.engine.dispose()
    return sentence, found


@contextmanager
def place(name: str) -> Iterator[Path | None]:
    """Yield an empty folder; on a small disk of its own where the disk is to be full."""
    with TemporaryDirectory(prefix="capista-fault-") as folder:
        if "disk is full" not in name:
            yield Path(folder)
            return
        mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]
        if subprocess.run(mount, capture_output=True).returncode:
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def main() -> None:
    """Meet each fault and print what came of it."""
    print("| fault | what people read | rows lost or changed | over when the cause is gone |")
    print("|---|---|---|---|")
    wrong = []
    for name in FAULTS:
        with place(name) as folder:
            if folder is None:
                print(f"| {name} | not tried: takes root | | |")
                continue
            sentence, found = meet(name, folder)
            wrong += [f"{name}: {finding}" for finding in found]
            lost, over = ("**?**", "**?**") if found else ("none", "yes")
            print(f"| {name} | {sentence} | {lost} | {over} |")
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
