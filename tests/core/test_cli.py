"""The command line, as real processes."""

import json
import logging
import os
import pty
import select
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.cli import cli
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]

DASHBOARD = """
import time
from core.app import create_app
from core.settings import read_settings
app = create_app(read_settings())
app.jobs.launch()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def environment(tmp_path):
    return os.environ | {"DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def run(environment, tmp_path):
    """Runs a command to its end."""

    def run(*words, **settings):
        return subprocess.run(
            [sys.executable, "-m", "core", *words],
            cwd=tmp_path,
            env=environment | settings,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def start(environment, tmp_path):
    """Starts a process that is ended with the test."""
    started = []

    def start(*words, **settings):
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=tmp_path,
            env=environment | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def ask(tmp_path):
    """Asks the database of the processes."""

    def ask(statement):
        try:
            with sqlite3.connect(tmp_path / "data" / "dashboard.db", timeout=10) as database:
                return database.execute(statement).fetchall()
        except sqlite3.OperationalError:
            return []

    return ask


@pytest.fixture
def connected(to_hotmart, to_openai):
    given = {**to_hotmart, **to_openai, "images_at_once": 2}
    return {name.upper(): str(value) for name, value in given.items()}


class TestHelp:
    @pytest.fixture(autouse=True)
    def _log_as_before(self):
        level = logging.getLogger("dbos").level
        yield
        logging.getLogger("dbos").setLevel(level)

    def test_is_enough_to_use_it(self, run):
        said = run("--help")
        nothing = CliRunner().invoke(cli, [])
        sync = CliRunner().invoke(cli, ["sync", "--help"])
        token = CliRunner().invoke(cli, ["token", "create", "--help"])

        assert said.returncode == sync.exit_code == token.exit_code == 0
        for command in ("sync", "token", "openapi"):
            assert command in said.stdout
        assert "sync" in nothing.output
        assert "counts" in sync.stdout
        assert "--role" in token.stdout
        assert "viewer" in token.stdout

    @pytest.mark.parametrize(
        "words",
        [
            ("nothing",),
            ("sync", "now"),
            ("token", "create", "x"),
            ("token", "create", "--role", "viewer"),
            ("token", "create", "x", "--role", "owner"),
            ("token", "create", "x", "--role", "viewer", "--days", "0"),
            ("token", "revoke", "x"),
        ],
        ids=" ".join,
    )
    def test_wrong_usage_ends_with_2(self, words):
        said = CliRunner().invoke(cli, words)

        assert said.exit_code == 2
        assert said.stdout == ""

    def test_wrong_usage_shows_no_traceback(self, run):
        said = run("token", "create", "x", "--role", "owner")

        assert (said.returncode, said.stdout) == (2, "")
        assert "viewer" in said.stderr
        assert "Traceback" not in said.stderr


class TestToken:
    def test_is_created_listed_and_revoked(self, run, ask):
        created = run("token", "create", "old system", "--role", "editor", "--days", "3")
        secret = created.stdout.splitlines()[-1]
        listed = run("token", "list")
        revoked = run("token", "revoke", "1")
        after = run("token", "list")
        missing = run("token", "revoke", "7")

        assert created.returncode == 0
        assert secret.startswith("capista_")
        assert len(secret) > 40
        assert secret not in str(ask("SELECT * FROM api_tokens"))
        assert listed.stdout.startswith("1\told system\teditor\tnever used\t20")
        assert listed.stdout.endswith("\tvalid\n")
        assert revoked.returncode == 0
        assert after.stdout.endswith("\trevoked\n")
        assert secret not in listed.stdout + revoked.stdout + after.stdout
        assert (missing.returncode, missing.stderr) == (1, "There is no such token.\n")

    def test_wants_a_name(self, run):
        said = run("token", "create", " ", "--role", "viewer")

        assert (said.returncode, said.stdout, said.stderr.count("\n")) == (1, "", 1)


def test_openapi_prints_the_document(run):
    document = json.loads(run("openapi").stdout)

    assert "/hotmart/sync" in document["paths"]


class TestSync:
    def test_waits_for_the_covers_and_prints_the_counts(self, run, ask, hotmart, connected):
        hotmart.seed_catalogue(products=3)

        first, second = run("sync", **connected), run("sync", **connected)

        assert (first.returncode, second.returncode) == (0, 0), first.stderr
        counts = "seen=3 created=3 updated=0 unchanged=0 archived=0 covers_queued=3"
        assert first.stdout.splitlines() == [counts, "covers_failed=0"]
        assert "seen=3 created=0 updated=0 unchanged=3" in second.stdout
        assert ask("SELECT count(*) FROM products WHERE image_url IS NOT NULL") == [(3,)]
        lines = first.stderr.splitlines()
        assert lines
        assert all(line.startswith(("Sync: ", "Covers: ")) for line in lines)
        assert "\r" not in first.stderr
        assert "\x1b" not in first.stderr

    def test_that_fails_ends_with_1_and_one_sentence(self, run, hotmart, connected):
        hotmart.fail("/security", "401")

        said = run("sync", **connected)

        assert (said.returncode, said.stdout) == (1, "")
        *progress, sentence = said.stderr.splitlines()
        assert all(line.startswith("Sync: ") for line in progress)
        assert "Hotmart" in sentence
        assert "Traceback" not in said.stderr

    @pytest.mark.parametrize(
        ("name", "value"),
        [("DATABASE_URL", "mysql://x"), ("IMAGES_AT_ONCE", "x"), ("DATA_DIR", "/dev/null/x")],
    )
    def test_with_a_wrong_setting_ends_with_1_and_names_it(self, run, name, value):
        said = run("sync", **{name: value})

        assert (said.returncode, said.stdout) == (1, "")
        assert name in said.stderr
        assert said.stderr.count("\n") == 1

    def test_shows_one_line_of_progress_in_a_terminal(self, environment, tmp_path):
        screen, terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "core", "sync"],
            cwd=tmp_path,
            env=environment | {"COVERS_PER_SYNC": "2"},
            stdout=subprocess.DEVNULL,
            stderr=terminal,
        )
        os.close(terminal)
        shown = read_all(screen)

        assert process.wait(60) == 0
        assert "\r\x1b[KSync: " in shown
        assert shown.count("\n") == 2  # one when the sync is done, one when the covers are


def read_all(screen):
    shown = b""
    while select.select([screen], [], [], 60)[0]:
        try:
            piece = os.read(screen, 4096)
        except OSError:  # the other end is closed
            break
        shown += piece
    os.close(screen)
    return shown.decode()


class TestSafekeeping:
    def test_a_backup_is_made_checked_and_brought_back(self, run, tmp_path):
        run("sync")
        file = tmp_path / "all.zip"

        made = run("backup", str(file))
        again = run("backup", str(file))
        onto_itself = run("restore", str(file))
        restored = run("restore", str(file), DATA_DIR=str(tmp_path / "other"))
        checked = run("verify", DATA_DIR=str(tmp_path / "other"))

        assert (made.returncode, made.stdout) == (0, f"pictures=36 lost=0 file={file}\n")
        assert (again.returncode, "is there already" in again.stderr) == (1, True)
        assert (onto_itself.returncode, "empty place" in onto_itself.stderr) == (1, True)
        assert (restored.returncode, restored.stdout) == (0, "pictures=36\n")
        assert (checked.returncode, checked.stdout) == (
            0, "checked=36 lost=0 mended=0 orphans=0\n",
        )  # fmt: skip

    @pytest.mark.parametrize("command", [["verify"], ["backup", "x.zip"]])
    def test_of_a_folder_that_was_mistyped_is_no_good_news(self, run, tmp_path, command):
        refused = run(*command, DATA_DIR=str(tmp_path / "nowhere"))

        assert refused.returncode == 1
        assert "There is no Capista at" in refused.stderr
        assert not (tmp_path / "nowhere").exists()

    def test_verify_ends_with_1_and_names_what_is_missing(self, run, tmp_path):
        run("sync")
        pictures = (tmp_path / "data" / "pictures").glob("??/*")
        lost = next(path for path in pictures if not path.name.endswith("-400.webp"))
        lost.unlink()

        checked = run("verify")

        assert checked.returncode == 1
        assert f"{lost.name}: missing (offer " in checked.stdout
        assert "lost=1" in checked.stdout
        assert "Traceback" not in checked.stderr


class TestBesideADashboard:
    def test_hurts_neither(self, run, start, ask, hotmart, openai, connected):
        openai.latency = 0.3
        hotmart.seed_catalogue(products=12)
        dashboard = start("-c", DASHBOARD, **connected)
        dashboard.stdout.readline()

        commands = [start("-m", "core", "sync", **connected) for _ in range(2)]
        results = [(*command.communicate(timeout=100), command.returncode) for command in commands]

        assert [code for *_said, code in results] == [0, 0], results
        assert dashboard.poll() is None
        assert ask("SELECT count(*), count(DISTINCT product_id) FROM product_image_history") == [
            (12, 12)
        ]
        assert ask("SELECT state, count(*) FROM cover_jobs GROUP BY state") == [("succeeded", 12)]
        assert ask("SELECT DISTINCT state FROM sync_runs") == [("succeeded",)]
        assert openai.bill == 12  # nobody took up what another was at

    @pytest.mark.parametrize("is_running", [False, True], ids=["starts later", "runs"])
    def test_takes_up_what_a_killed_command_left(
        self, start, ask, hotmart, openai, connected, is_running
    ):
        openai.latency = 0.4
        hotmart.seed_catalogue(products=8)
        if is_running:
            start("-c", DASHBOARD, **connected).stdout.readline()
        command = start("-m", "core", "sync", **connected)
        wait_for(lambda: openai.bill >= 2, timeout=60)
        command.send_signal(signal.SIGKILL)
        command.wait()
        assert openai.bill < 8

        if not is_running:
            start("-c", DASHBOARD, **connected)

        wait_for(lambda: covers(ask) == [("succeeded", 8)], timeout=60)
        assert ask("SELECT count(*), count(DISTINCT product_id) FROM product_image_history") == [
            (8, 8)
        ]
        assert 8 <= openai.bill <= 8 + 2


def covers(ask):
    return ask("SELECT state, count(*) FROM cover_jobs GROUP BY state")
