"""Starts that are refused: one sentence that says what to do, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from core.database import migrate, open_engine
from tests.e2e import sites


def refused_start(folder: Path, **settings: str) -> str:
    """Return what a start that fails says on stderr."""
    process = sites.start(folder, sites.free_port(), **settings)
    try:
        assert process.wait(60) != 0
    except subprocess.TimeoutExpired:
        pytest.fail("The server started, or hangs")
    finally:
        sites.end(process)
    said = sites.log_of(folder)
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"IMAGES_AT_ONCE": "zero"}, "IMAGES_AT_ONCE"),
        ({"HOTMART_CLIENT_SECRET": "s3cr3t-value"}, "HOTMART_CLIENT_ID"),
        ({"JOBS_DATABASE_URL": "nonsense"}, "JOBS_DATABASE_URL"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, settings, named):
    said = refused_start(tmp_path, **settings)

    assert "Capista can't start." in said
    assert named in said
    assert "s3cr3t-value" not in said


def test_a_database_from_a_newer_version_is_left_alone(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'data' / 'dashboard.db'}")
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from_the_future'"))
    engine.dispose()
    before = (tmp_path / "data" / "dashboard.db").read_bytes()

    said = refused_start(tmp_path)

    assert "newer version of Capista" in said
    assert (tmp_path / "data" / "dashboard.db").read_bytes() == before


def test_python_dashboard_py_refuses_in_the_same_words(tmp_path):
    done = subprocess.run(
        [sys.executable, str(sites.ROOT / "dashboard.py")],
        cwd=tmp_path,
        env={"IMAGES_AT_ONCE": "zero", "DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode != 0
    assert "IMAGES_AT_ONCE" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
