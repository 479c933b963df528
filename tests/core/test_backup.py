import json
import os
import time
import zipfile
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlmodel import select

from core import backup, images, notes
from core.backup import BackupError
from core.database import migrate, open_engine, reading, transaction
from core.models import Product, ProductImage
from core.picture_store import open_store, thumbnail_name
from core.verify import verify
from tests.builders import ANA, NOW, make_call, make_job, make_picture, make_product
from tests.contents import everything


def files_of(store):
    return {path.name: path.read_bytes() for path in store.files()}


@pytest.fixture
def product(engine, store):
    """An offer with three history rows, a note, and text that is hard to carry."""
    with transaction(engine) as session:
        product = make_product(
            name="Café ☕ \u202eevil\u0000"[:-1], price=Decimal("0.10"), currency="BRL"
        )
        session.add(product)
        session.flush()
        session.add(make_job(product))
        session.add(make_call(cost_usd=Decimal("0.0138")))
        notes.add_note(session, product.id, text="=1+1\n'; DROP", by=ANA, now=NOW)
    first = images.replace_image(
        engine, store, product.id, data=make_picture("red"), by=ANA, now=NOW
    )
    images.replace_image(engine, store, product.id, data=make_picture("blue"), by=ANA, now=NOW)
    with transaction(engine) as session:
        images.revert(session, product.id, first.id, by=ANA, now=NOW)
    return product


@pytest.fixture
def elsewhere(tmp_path):
    """An empty place to restore into."""
    engine = open_engine(f"sqlite:///{tmp_path / 'elsewhere' / 'dashboard.db'}")
    migrate(engine)
    yield engine, open_store((tmp_path / "elsewhere" / "pictures").as_uri())
    engine.dispose()


@pytest.fixture
def make_backup(engine, store, tmp_path):
    def make_backup(name="all.zip"):
        made = backup.back_up(engine, store, tmp_path / name, now=NOW)
        return tmp_path / name, made

    return make_backup


def rewrite(file, change):
    """Return a copy of an archive whose entries ``change`` has had its hands on."""
    with zipfile.ZipFile(file) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    other = file.with_name("changed.zip")
    with zipfile.ZipFile(other, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return other


class TestARoundTrip:
    def test_brings_everything_back_byte_for_byte(
        self, engine, store, product, make_backup, elsewhere
    ):
        file, made = make_backup()

        count = backup.restore(*elsewhere, file)

        assert everything(elsewhere[0]) == everything(engine)
        assert files_of(elsewhere[1]) == files_of(store)
        assert (made.pictures, made.lost, count) == (2, [], 2)
        assert verify(*elsewhere).is_well

    def test_of_an_empty_capista_works_too(self, engine, make_backup, elsewhere):
        file, _made = make_backup()

        assert backup.restore(*elsewhere, file) == 0
        assert everything(elsewhere[0]) == everything(engine)

    def test_goes_on_with_new_rows_afterwards(self, product, make_backup, elsewhere):
        backup.restore(*elsewhere, make_backup()[0])

        with transaction(elsewhere[0]) as session:
            session.add(fresh := make_product())

        assert fresh.id > product.id

    def test_is_one_state_although_people_work_meanwhile(
        self, engine, store, product, make_backup, elsewhere, monkeypatch
    ):
        """A picture that comes while files are read is not half in the backup."""
        before = everything(engine)
        read = store.read

        def read_while_somebody_uploads(name):
            with transaction(engine) as session:
                session.add(make_product())
            return read(name)

        monkeypatch.setattr(store, "read", read_while_somebody_uploads)
        file, _made = make_backup()

        backup.restore(*elsewhere, file)

        assert everything(elsewhere[0]) == before


class TestABackup:
    def test_overwrites_nothing(self, make_backup, tmp_path):
        (tmp_path / "all.zip").write_text("dear to me")

        with pytest.raises(BackupError, match="is there already"):
            make_backup()

        assert (tmp_path / "all.zip").read_text() == "dear to me"

    def test_that_can_t_be_written_leaves_nothing_behind(self, engine, store, tmp_path):
        with pytest.raises(BackupError, match="was not written"):
            backup.back_up(engine, store, tmp_path / "nowhere" / "all.zip", now=NOW)

        assert not [path for path in tmp_path.iterdir() if "backup" in path.name]

    def test_removes_what_a_killed_one_left_a_day_ago(self, make_backup, tmp_path):
        old, young = tmp_path / ".capista-backup-old", tmp_path / ".capista-backup-young"
        for folder in (old, young):
            folder.mkdir()
            (folder / "dashboard.db").write_bytes(b"everything")
        os.utime(old, (0, 0))
        os.utime(young, (NOW.timestamp(), NOW.timestamp()))

        make_backup()

        assert not old.exists()
        assert young.exists()

    def test_names_what_is_lost_and_holds_all_else(
        self, engine, store, product, make_backup, elsewhere
    ):
        with reading(engine) as session:
            lost, damaged = {
                i.image_url.rpartition("/")[2] for i in session.exec(select(ProductImage))
            }
        store.path(lost).unlink()
        store.path(damaged).write_bytes(b"rotten")

        file, made = make_backup()

        assert sorted(made.lost) == sorted([lost, damaged])
        backup.restore(*elsewhere, file)
        assert everything(elsewhere[0]) == everything(engine)
        assert len(verify(*elsewhere).lost) == 2


class TestARestore:
    def test_into_a_place_that_is_not_empty_changes_nothing(
        self, engine, store, product, make_backup
    ):
        file, _made = make_backup()
        before = everything(engine), files_of(store)

        with pytest.raises(BackupError, match="empty place"):
            backup.restore(engine, store, file)

        assert (everything(engine), files_of(store)) == before

    def test_beside_pictures_of_somebody_else_changes_nothing(
        self, product, make_backup, elsewhere
    ):
        file, _made = make_backup()
        elsewhere[1].save("0" * 64 + ".png", b"theirs")

        with pytest.raises(BackupError, match="empty place"):
            backup.restore(*elsewhere, file)

        assert list(files_of(elsewhere[1])) == ["0" * 64 + ".png"]

    def test_that_was_cut_off_can_be_started_again(
        self, engine, store, product, make_backup, elsewhere, monkeypatch
    ):
        file, _made = make_backup()
        save, saved = elsewhere[1].save, []

        def save_two(name, data):
            if len(saved) == 2:
                raise KeyboardInterrupt
            saved.append(name)
            save(name, data)

        with monkeypatch.context() as patched:
            patched.setattr(elsewhere[1], "save", save_two)
            with pytest.raises(KeyboardInterrupt):
                backup.restore(*elsewhere, file)

        backup.restore(*elsewhere, file)

        assert everything(elsewhere[0]) == everything(engine)
        assert files_of(elsewhere[1]) == files_of(store)

    @pytest.mark.parametrize(
        "change",
        [
            lambda entries: entries.update({_picture(entries): b"other bytes"}),
            lambda entries: entries.pop(_picture(entries)),
            lambda entries: entries.pop("manifest.json"),
            lambda entries: entries.pop("dashboard.db"),
            lambda entries: entries.update({"manifest.json": b"{"}),
            lambda entries: entries.update({"manifest.json": b"{}"}),
            lambda entries: entries.update({"pictures/../../evil.py": b"evil"}),
            lambda entries: entries.update({"dashboard.db": b"not a database"}),
            lambda entries: _declare(entries, "dashboard.db", b"not a database"),
            lambda entries: _declare(entries, "pictures/../../evil.py", b"evil"),
            lambda entries: _undeclare(entries, _picture(entries)),
            lambda entries: entries.update({"manifest.json": b"[]"}),
            lambda entries: entries.update({"manifest.json": b"[" * 100_000}),
            lambda entries: _declare(entries, _picture(entries), b"another picture"),
            lambda entries: _declare(entries, "dashboard.db", b""),
        ],
        ids=range(15),
    )
    def test_of_a_backup_that_was_tampered_with_changes_nothing(
        self, product, make_backup, elsewhere, change, tmp_path
    ):
        file = rewrite(make_backup()[0], change)
        before = everything(elsewhere[0])

        with pytest.raises(BackupError, match="damaged or no backup"):
            backup.restore(*elsewhere, file)

        assert everything(elsewhere[0]) == before
        assert files_of(elsewhere[1]) == {}
        assert not list(tmp_path.parent.rglob("evil.py"))

    @pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04" + b"\0" * 40])
    def test_of_something_else_says_so(self, elsewhere, tmp_path, data):
        (tmp_path / "x.zip").write_bytes(data)

        with pytest.raises(BackupError, match="damaged or no backup"):
            backup.restore(*elsewhere, tmp_path / "x.zip")

    @pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
    def test_of_one_that_was_packed_again_is_refused(
        self, product, make_backup, elsewhere, tmp_path, method
    ):
        """It could hold far more than its size: backups are not packed."""
        with (
            zipfile.ZipFile(make_backup()[0]) as made,
            zipfile.ZipFile(tmp_path / "packed.zip", "w", method) as packed,
        ):
            for name in made.namelist():
                packed.writestr(name, made.read(name))

        with pytest.raises(BackupError, match="damaged or no backup"):
            backup.restore(*elsewhere, tmp_path / "packed.zip")

        assert files_of(elsewhere[1]) == {}

    def test_of_a_file_that_is_not_there_says_so(self, elsewhere, tmp_path):
        with pytest.raises(BackupError, match="There is no file"):
            backup.restore(*elsewhere, tmp_path / "x.zip")


def _picture(entries):
    return next(name for name in entries if name.endswith(".png"))


def _declare(entries, name, data):
    manifest = json.loads(entries["manifest.json"])
    manifest["files"][name] = backup._entry(data)
    entries |= {name: data, "manifest.json": json.dumps(manifest).encode()}


def _undeclare(entries, name):
    manifest = json.loads(entries["manifest.json"])
    del manifest["files"][name], entries[name]
    entries["manifest.json"] = json.dumps(manifest).encode()


class TestVerify:
    @pytest.fixture
    def newest(self, engine, product):
        with reading(engine) as session:
            shown = session.get(Product, product.id).current_image_id
            return session.get(ProductImage, shown)

    def test_finds_nothing_wrong_where_nothing_is(self, engine, store, product):
        report = verify(engine, store)

        assert (report.checked, report.lost, report.mended, report.orphans) == (2, [], [], [])

    @pytest.mark.parametrize(
        ("harm", "said"),
        [
            (lambda path: path.unlink(), "missing"),
            (lambda path: path.write_bytes(path.read_bytes()[:-1]), "damaged"),
            (lambda path: path.write_bytes(b""), "damaged"),
            (lambda path: path.write_bytes(path.read_bytes()[::-1]), "damaged"),
        ],
    )
    def test_names_a_picture_that_is_lost_with_all_rows_that_use_it(
        self, engine, store, product, newest, harm, said
    ):
        name = newest.image_url.rpartition("/")[2]
        before = everything(engine)
        harm(store.path(name))

        line = str(*verify(engine, store).lost)

        assert line.startswith(f"{name}: {said} (offer {product.id}, picture ")
        assert line.count("offer") == 2  # the upload, and the return to it
        assert everything(engine) == before

    @pytest.mark.parametrize("harm", ["missing", "damaged"])
    def test_makes_a_thumbnail_again(self, engine, store, newest, harm):
        path = store.path(thumbnail_name(newest.digest))
        whole = path.read_bytes()
        if harm == "missing":
            path.unlink()
        else:
            path.write_bytes(whole[:40])

        report = verify(engine, store)

        assert (report.mended, report.lost) == ([path.name], [])
        assert path.read_bytes() == whole
        assert verify(engine, store).mended == []

    def test_names_old_files_that_no_row_knows_and_takes_none_away(self, engine, store, product):
        old, new = "1" * 64 + ".png", "2" * 64 + ".png"
        for name in (old, new):
            store.save(name, b"x")
        long_ago = time.time() - timedelta(days=2).total_seconds()
        os.utime(store.path(old), (long_ago, long_ago))

        assert verify(engine, store).orphans == [old]
        assert store.exists(old)
