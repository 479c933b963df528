"""Starts that are refused: one sentence that says what to do, and nothing else."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from core.database import migrate, open_engine
from tests.e2e import sites


def refused_start(folder: Path, **given: Any) -> str:
    """Return what a start that fails says on stderr."""
    process = sites.start(folder, sites.free_port(), **given)
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


OPEN = ["--server.address", "0.0.0.0"]
SIGN_IN = """
    [auth]
    redirect_uri = "http://localhost:{port}/oauth2callback"
    cookie_secret = "planted-cookie-secret-of-some-length"
    client_id = "capista"
    client_secret = "planted-client-secret"
    server_metadata_url = "http://localhost:1/.well-known/openid-configuration"
"""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"options": OPEN}, "LISTEN_WITHOUT_SIGN_IN=true"),
        ({"options": ["--server.address", ""]}, "LISTEN_WITHOUT_SIGN_IN=true"),
        ({"secrets": SIGN_IN}, "set ADMIN_EMAILS to your e-mail address"),
        ({"secrets": SIGN_IN.replace("client_secret", "x")}, "lacks client_secret"),
        ({"secrets": "[auth\n", "ADMIN_EMAILS": "a@x.org"}, "secrets.toml can't be read"),
        ({"ADMIN_EMAILS": "ana@example.com;rui"}, "ADMIN_EMAILS"),
    ],
)
def test_nobody_is_served_where_strangers_could_get_in_or_nobody_could(tmp_path, given, said):
    assert said in refused_start(tmp_path, **given)
    assert "planted" not in sites.log_of(tmp_path)


@pytest.mark.parametrize(
    "given",
    [
        {"LISTEN_WITHOUT_SIGN_IN": "true"},
        {"secrets": SIGN_IN, "ADMIN_EMAILS": "boss@example.com"},
    ],
)
def test_other_addresses_are_served_when_that_is_meant_or_people_sign_in(tmp_path, given):
    with sites.running(tmp_path, options=OPEN, **given) as url:
        port = url.rpartition(":")[2]

        assert httpx2.get(f"http://127.0.0.2:{port}/_stcore/health").status_code == 200


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with sites.running(tmp_path_factory.mktemp("hostile")) as url:
        yield url


class TestHostilePages:
    PATHS = ("/", "/notes", "/_stcore/health", "/api/products", "/app/static/brand/icon.png")

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(
        "headers",
        [{"Host": "evil.test"}, {"Origin": "http://evil.test"}, {"Origin": "null"}],
        ids=str,
    )
    def test_get_nothing(self, url, path, headers):
        answer = httpx2.get(url + path, headers=headers)

        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control-")]

    @pytest.mark.parametrize("path", PATHS)
    def test_can_neither_frame_us_nor_bring_script(self, url, path):
        headers = httpx2.get(url + path).headers

        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        policy = headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy
        assert "'unsafe-inline'" not in policy.replace("style-src 'self' 'unsafe-inline'", "")
        assert "access-control-allow-origin" not in headers

    def test_can_open_no_session(self, chromium, url):
        page = chromium.new_page()
        page.route("http://evil.test/", lambda route: route.fulfill(body="<h1>evil</h1>"))
        page.goto("http://evil.test/")

        ended = page.evaluate(
            """url => new Promise(done => {
                const socket = new WebSocket(url, ["streamlit"]);
                socket.onopen = () => done("opened");
                socket.onclose = () => done("refused");
            })""",
            url.replace("http", "ws") + "/_stcore/stream",
        )

        page.close()
        assert ended == "refused"

    @pytest.mark.parametrize("path", ["metrics", "agent/interact", "agent/mcp"])
    def test_find_neither_figures_nor_a_door_for_agents(self, url, path):
        for method in ("GET", "POST"):
            answer = httpx2.request(method, f"{url}/_stcore/{path}", json={})
            assert answer.status_code in (400, 403, 404, 405)
            assert answer.text == "" or "not_available" in answer.text


def test_a_second_server_on_the_same_folder_is_refused_and_the_first_goes_on(tmp_path):
    with sites.running(tmp_path) as url:
        said = refused_start(tmp_path)

        assert "Another Capista is running on" in said
        assert httpx2.get(f"{url}/_stcore/health").status_code == 200
    with sites.running(tmp_path) as url:  # its end frees the folder
        assert httpx2.get(f"{url}/_stcore/health").status_code == 200


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
