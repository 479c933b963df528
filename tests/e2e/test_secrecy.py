"""No secret leaves a server: not in a page, an answer, a log, a file or a backup."""

import zipfile
from datetime import UTC, datetime
from urllib.parse import quote_plus

import httpx2

from core import backup, tokens
from core.access import COMMAND, Role
from core.app import create_app
from core.database import transaction
from core.settings import read_settings
from tests.builders import make_picture
from tests.core.api.test_webhook import BUYER, EVENT, HOTTOK
from tests.e2e import screen, sites
from tests.simulators.hotmart import BASIC, CLIENT_ID, CLIENT_SECRET, HotmartSimulator
from tests.simulators.openai import OpenAISimulator
from tests.waiting import wait_for

CALLS = (
    "/api/openapi.json",
    "/api/docs",
    "/api/products",
    "/api/products/1",
    "/api/products/1/images/history",
    "/api/products/1/notes",
    "/api/hotmart/status",
    "/api/nothing",
    "/_stcore/health",
    "/_stcore/host-config",
    "/",
)
PAGES = ("", "image_manager?product=1", "notes", "settings")
TABS = ("Connections", "People", "Tokens", "Spend", "Activity", "Installation")


def test_no_secret_leaves_the_server(tmp_path, marketer_at):
    app = create_app(read_settings(_env_file=None, data_dir=tmp_path / "data"))
    with transaction(app.engine) as session:
        _token, token = tokens.create_token(
            session, name="script", role=Role.EDITOR, by=COMMAND, now=datetime.now(UTC)
        )
    said: list[str] = []
    headers = {"Authorization": f"Bearer {token}"}
    with HotmartSimulator() as sells, OpenAISimulator() as paints:
        sells.variant("echo", True)  # a refused token request is told what it sent
        sells.fail("/security", "401")
        settings = {
            "HOTMART_CLIENT_ID": CLIENT_ID,
            "HOTMART_CLIENT_SECRET": CLIENT_SECRET,
            "HOTMART_BASIC": BASIC,
            "HOTMART_HOTTOK": HOTTOK,
            "HOTMART_API_URL": sells.url,
            "HOTMART_AUTH_URL": sells.url,
            "OPENAI_API_KEY": paints.key,
            "OPENAI_BASE_URL": paints.url,
            "IMAGES_PER_MINUTE": "0",
        }
        with sites.running(tmp_path, **settings) as url, httpx2.Client(base_url=url) as client:

            def ask(method, path, **more):
                answer = client.request(method, path, headers=headers, timeout=60, **more)
                said.append(f"{answer.headers} {answer.text}")
                return answer

            client.post("/api/hotmart/webhook", json=EVENT, headers={"X-Hotmart-Hottok": HOTTOK})
            wait_for(lambda: ask("GET", "/api/products").json()["total"] == 1)
            ask("POST", "/api/hotmart/sync")
            wait_for(lambda: not ask("GET", "/api/hotmart/status").json()["running"])
            paints.fail("key_echo")
            orders = {"headers": headers | {"Prefer": "wait=30"}, "timeout": 60}
            for _ in range(2):
                answer = client.post("/api/products/1/images/generate", **orders)
                said.append(answer.text)
            ask("POST", "/api/products/1/images/upload", files={"image": make_picture()})
            for path in CALLS:
                ask("GET", path)
            assert ask("GET", "/_stcore/metrics").status_code == 404
            page = marketer_at(url).open()
            for path in PAGES:
                page.goto(f"{url}/{path}")
                screen.settle(page)
                said.append(page.content())
            for tab in TABS:
                page.get_by_role("tab", name=tab).click()
                screen.settle(page)
                said.append(page.content())
            page.close()
            backup.back_up(app.engine, app.store, tmp_path / "backup.zip", now=datetime.now(UTC))
        app.engine.dispose()

    with zipfile.ZipFile(tmp_path / "backup.zip") as archive:
        parts = [archive.read(name) for name in archive.namelist()]
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    everything = b"\n".join([*parts, *kept, "\n".join(said).encode()])
    assert b"Sourdough at Home" in everything
    personal = [value for value in BUYER.values() if isinstance(value, str) and len(value) > 8]
    for secret in (CLIENT_SECRET, BASIC, HOTTOK, paints.key, "sim-token", token, *personal):
        assert secret.encode() not in everything
        assert quote_plus(secret).encode() not in everything
