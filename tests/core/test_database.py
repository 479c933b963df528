import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError, StatementError
from sqlmodel import SQLModel, select

from core.database import (
    DatabaseError,
    migrate,
    open_engine,
    reading,
    sqlite_module,
    transaction,
    wal_is_safe,
)
from core.errors import StartError
from core.models import Product, ProductNote, ProductOffer
from tests.builders import NOW, make_image, make_job, make_note, make_product
from tests.older import make_database

ROOT = Path(__file__).parents[2]


def pragma(engine, name):
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


class TestOpenEngine:
    @pytest.mark.parametrize(
        ("version", "is_safe"),
        [
            ((3, 7, 0), False),
            ((3, 40, 1), False),
            ((3, 51, 2), False),
            ((3, 51, 3), True),
            ((3, 53, 4), True),
            ((4, 0, 0), True),
        ],
    )
    def test_trusts_only_a_library_without_the_wal_bug(self, version, is_safe):
        assert wal_is_safe(version) is is_safe

    def test_uses_wal_where_the_library_is_safe(self, engine):
        is_safe = wal_is_safe(sqlite_module().sqlite_version_info)

        assert pragma(engine, "journal_mode") == ("wal" if is_safe else "delete")

    def test_uses_no_wal_where_it_is_not(self, tmp_path, monkeypatch):
        monkeypatch.setattr("core.database.wal_is_safe", lambda version: False)

        engine = open_engine(f"sqlite:///{tmp_path}/old.db")

        assert pragma(engine, "journal_mode") == "delete"
        assert not (tmp_path / "old.db-wal").exists()

    def test_leaves_wal_again_when_the_library_got_older(self, engine, monkeypatch):
        engine.dispose()
        monkeypatch.setattr("core.database.wal_is_safe", lambda version: False)

        older = open_engine(str(engine.url))

        assert pragma(older, "journal_mode") == "delete"

    def test_brings_the_fixed_library_along(self):
        pytest.importorskip("pysqlite3", reason="there is no such package for this machine")

        assert wal_is_safe(sqlite_module().sqlite_version_info)

    def test_waits_for_others_and_holds_to_foreign_keys(self, engine):
        assert pragma(engine, "busy_timeout") == 15_000
        assert pragma(engine, "foreign_keys") == 1
        assert pragma(engine, "synchronous") == 2

    def test_makes_the_folder(self, tmp_path):
        migrate(open_engine(f"sqlite:///{tmp_path}/not/yet/there.db"))

        assert (tmp_path / "not/yet/there.db").is_file()

    def test_says_that_the_folder_can_t_be_made(self, tmp_path):
        (tmp_path / "file").touch()

        with pytest.raises(StartError, match=r"file/folder can't be made. Check DATA_DIR"):
            open_engine(f"sqlite:///{tmp_path}/file/folder/a.db")


class TestMigrate:
    def test_makes_the_tables_that_the_models_describe(self, engine):
        with engine.connect() as connection:
            context = MigrationContext.configure(connection)

            assert compare_metadata(context, SQLModel.metadata) == []

    def test_changes_nothing_the_second_time(self, engine, tmp_path):
        with transaction(engine) as session:
            session.add(make_product(name="Violão"))

        migrate(engine)

        with reading(engine) as session:
            assert [product.name for product in session.exec(select(Product))] == ["Violão"]

    def test_keeps_every_row_of_an_older_version(self, tmp_path):
        engine = open_engine(f"sqlite:///{tmp_path}/old.db")
        product = make_product(id=7, current_image_id=9)
        rows = [
            product,
            ProductOffer(id=1, product_id=7, code="abc", price=Decimal("0.10")),
            make_image(product, id=8),
            make_image(product, id=9, restored_from_id=8, job_id="cover-1"),
            make_note(product, id=5),
            make_job(product, id="cover-1"),
        ]
        make_database(engine, "0004", *rows)

        migrate(engine)

        with reading(engine) as session:
            for row in rows:
                kept = session.get_one(type(row), row.id)
                assert kept.model_dump() == row.model_dump()
        assert pragma(engine, "foreign_keys") == 1
        assert pragma(engine, "foreign_key_check") is None
        with transaction(engine) as session:
            session.delete(session.get_one(Product, 7))
        with reading(engine) as session:
            for row in rows:
                assert session.get(type(row), row.id) is None

    def test_refuses_the_database_of_a_newer_version_and_leaves_it_alone(self, engine, tmp_path):
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
            connection.execute(text("CREATE TABLE from_the_future (id INTEGER)"))
        with closing(engine.raw_connection()) as connection:  # as a backup leaves it: without WAL
            connection.cursor().execute(f"VACUUM INTO '{tmp_path}/restored.db'")
        file = tmp_path / "restored.db"
        before = file.read_bytes()

        newer = open_engine(f"sqlite:///{file}")
        with pytest.raises(StartError, match=r"newer version of Capista \(9999\)"):
            migrate(newer)
        newer.dispose()

        assert file.read_bytes() == before

    def test_refuses_a_table_of_products_that_is_not_ours(self, tmp_path):
        file = tmp_path / "shop.db"
        with closing(sqlite3.connect(file)) as shop:
            shop.execute("CREATE TABLE products (sku TEXT)")
            shop.commit()

        before = file.read_bytes()

        engine = open_engine(f"sqlite:///{file}")
        with pytest.raises(StartError, match="products that Capista did not make"):
            migrate(engine)
        engine.dispose()

        assert file.read_bytes() == before

    def test_says_what_to_check_when_the_file_is_no_database(self, tmp_path):
        (tmp_path / "letter.db").write_text("Dear Marina, " * 100)
        engine = open_engine(f"sqlite:///{tmp_path}/letter.db")

        with pytest.raises(StartError, match=r"letter\.db can't be used. Check DATABASE_URL"):
            migrate(engine)

        assert (tmp_path / "letter.db").read_text() == "Dear Marina, " * 100

    def test_never_shows_a_password(self):
        engine = open_engine("postgresql://capista:s3cr3t@127.0.0.1:9/capista?connect_timeout=2")

        with pytest.raises(StartError, match="can't be used") as raised:
            migrate(engine)

        assert "s3cr3t" not in str(raised.value)
        assert "127.0.0.1" in str(raised.value)

    def test_works_in_several_processes_at_once(self, tmp_path):
        url = f"sqlite:///{tmp_path}/shared.db"
        code = f"from core.database import *; migrate(open_engine({url!r}))"

        processes = [
            subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE)
            for _ in range(2)
        ]

        assert [(p.wait(), p.stderr.read()) for p in processes] == [(0, b"")] * 2
        assert pragma(open_engine(url), "integrity_check") == "ok"


class TestTransaction:
    def test_commits_when_the_block_ends(self, engine):
        with transaction(engine) as session:
            session.add(make_product())

        with reading(engine) as session:
            assert len(session.exec(select(Product)).all()) == 1

    def test_keeps_nothing_when_the_block_raises(self, engine):
        def break_off():
            with transaction(engine) as session:
                session.add(make_product())
                session.flush()
                raise RuntimeError("in between")

        with pytest.raises(RuntimeError):
            break_off()

        with reading(engine) as session:
            assert session.exec(select(Product)).all() == []

    def test_leaves_its_rows_readable(self, engine):
        with transaction(engine) as session:
            product = make_product(name="Violão")
            session.add(product)

        assert product.id is not None
        assert product.name == "Violão"

    def test_lets_two_writers_through_one_after_the_other(self, engine):
        with transaction(engine) as session:
            session.add(make_product(name="0"))

        def count_up():
            for _ in range(10):
                with transaction(engine) as session:
                    product = session.exec(select(Product)).one()
                    product.name = str(int(product.name) + 1)

        writers = [threading.Thread(target=count_up) for _ in range(3)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()

        with reading(engine) as session:
            assert session.exec(select(Product)).one().name == "30"

    def test_refuses_a_note_about_nothing(self, engine):
        with pytest.raises(IntegrityError), transaction(engine) as session:
            session.add(make_note(make_product(id=404)))

    def test_lets_notes_go_with_their_offer(self, engine):
        with transaction(engine) as session:
            product = make_product()
            session.add(product)
            session.flush()
            session.add(make_note(product))

        with transaction(engine) as session:
            session.delete(session.get(Product, product.id))

        with reading(engine) as session:
            assert session.exec(select(ProductNote)).all() == []


class TestReading:
    def test_saves_nothing(self, engine):
        with transaction(engine) as session:
            session.add(make_product(name="Violão"))

        with reading(engine) as session:
            session.exec(select(Product)).one().name = "Piano"
            session.add(make_product())

        with reading(engine) as session:
            assert [product.name for product in session.exec(select(Product))] == ["Violão"]

    def test_neither_waits_for_a_writer_nor_sees_half_of_it(self, engine):
        if not wal_is_safe(sqlite_module().sqlite_version_info):
            pytest.skip("without WAL a reader waits for a writer")
        with transaction(engine) as writing:
            writing.add(make_product())
            writing.flush()

            with reading(engine) as session:  # would fail after 15 s if it waited
                assert session.exec(select(Product)).all() == []

    def test_keeps_no_writer_waiting(self, engine):
        with reading(engine) as session:
            assert session.exec(select(Product)).all() == []

            with transaction(engine) as writing:
                writing.add(make_product())

            assert session.exec(select(Product)).all() == []


class TestValues:
    @pytest.mark.parametrize(
        "amount",
        ["0", "97", "97.00", "0.1", "19.90", "1234567.89", "0.000001", "-5", "123456789.123456"],
    )
    def test_money_survives(self, engine, amount):
        with transaction(engine) as session:
            session.add(make_product(price=Decimal(amount), commission_percent=None))

        with reading(engine) as session:
            product = session.exec(select(Product)).one()
            assert product.price == Decimal(amount)
            assert isinstance(product.price, Decimal)
            assert product.commission_percent is None

    @pytest.mark.parametrize(
        "moment",
        [
            NOW,
            datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            datetime(2026, 7, 1, 9, 30, tzinfo=timezone(timedelta(hours=-3))),
        ],
    )
    def test_times_survive_and_come_back_in_utc(self, engine, moment):
        with transaction(engine) as session:
            session.add(make_product(first_seen_at=moment))

        with reading(engine) as session:
            product = session.exec(select(Product)).one()
            assert product.first_seen_at == moment
            assert product.first_seen_at.tzinfo is UTC
            assert product.archived_at is None

    def test_a_time_without_a_zone_is_refused(self, engine):
        with (
            pytest.raises(StatementError, match="a time without a time zone"),
            transaction(engine) as session,
        ):
            session.add(make_product(first_seen_at=datetime(2026, 1, 1)))

        with reading(engine) as session:
            assert session.exec(select(Product)).all() == []

    def test_a_word_that_hotmart_invents_is_kept(self, engine):
        with transaction(engine) as session:
            session.add(make_product(status="ON_THE_MOON", format="HOLOGRAM"))

        with reading(engine) as session:
            product = session.exec(select(Product)).one()
            assert (product.status, product.format) == ("ON_THE_MOON", "HOLOGRAM")

    def test_the_same_offer_of_hotmart_is_there_once(self, engine):
        with pytest.raises(SQLAlchemyError), transaction(engine) as session:
            session.add_all([make_product(hotmart_id=7), make_product(hotmart_id=7)])


class TestADatabaseThatIsNotToBeHad:
    """Each trouble is a sentence, loses nothing, and is over when its cause is."""

    def add(self, engine):
        with transaction(engine) as session:
            session.add(make_product())

    def count(self, engine):
        with reading(engine) as session:
            return len(session.exec(select(Product)).all())

    def test_because_another_program_holds_it(self, engine, tmp_path, monkeypatch):
        monkeypatch.setattr("core.database._BUSY_TIMEOUT_MS", 50)
        engine = open_engine(f"sqlite:///{tmp_path}/dashboard.db")
        self.add(engine)
        with closing(sqlite_module().connect(str(tmp_path / "dashboard.db"))) as other:
            other.execute("BEGIN IMMEDIATE")

            with pytest.raises(DatabaseError, match=r"Another program keeps the database .* busy"):
                self.add(engine)
            assert self.count(engine) == 1  # who only looks is not held up

        self.add(engine)
        assert self.count(engine) == 2

    def test_because_the_disk_is_full(self, engine):
        self.add(engine)
        with engine.connect() as connection:  # SQLite's own word for how much it may take
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        full = pytest.raises(DatabaseError, match="The disk is full, so nothing was saved")
        with full, transaction(engine) as session:
            session.add(make_product(name="x" * 1_000_000))

        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        self.add(engine)
        assert self.count(engine) == 2

    def test_because_it_may_only_be_read(self, engine, tmp_path):
        self.add(engine)
        engine.dispose()
        read_only = open_engine(f"sqlite:///file:{tmp_path}/dashboard.db?mode=ro&uri=true")

        with pytest.raises(DatabaseError, match="may not write to the database"):
            self.add(read_only)
        assert self.count(read_only) == 1
        read_only.dispose()

        self.add(engine)
        assert self.count(engine) == 2

    def test_because_it_is_damaged(self, engine, tmp_path):
        self.add(engine)
        engine.dispose()
        file = tmp_path / "dashboard.db"
        file.write_bytes(file.read_bytes()[:4096] + b"x" * 100_000)

        with pytest.raises(DatabaseError, match=r"is damaged.*restore a backup"):
            self.count(engine)

    def test_because_its_folder_is_gone(self, tmp_path):
        engine = open_engine(f"sqlite:///{tmp_path}/sub/dashboard.db")
        (tmp_path / "sub").rmdir()

        with pytest.raises(DatabaseError, match=r"sub/dashboard\.db can't be used"):
            self.add(engine)

    def test_because_its_server_does_not_answer_never_shows_a_password(self):
        engine = open_engine("postgresql://capista:s3cr3t@127.0.0.1:9/capista?connect_timeout=2")

        with pytest.raises(DatabaseError, match=r"127\.0\.0\.1 can't be used") as raised:
            self.add(engine)

        assert "s3cr3t" not in str(raised.value)

    def test_is_not_blamed_for_a_mistake_of_ours(self, engine):
        with pytest.raises(OperationalError), reading(engine) as session:
            session.execute(text("SELECT nothing FROM nowhere"))
