"""What tests share: real parts on a folder of their own, and both services on loopback."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from core import jobs
from core.app import App, create_app
from core.database import migrate, open_engine
from core.picture_store import FolderStore, open_store
from core.settings import Settings, read_settings
from tests.simulators.hotmart import CLIENT_ID, CLIENT_SECRET, HotmartSimulator
from tests.simulators.openai import OpenAISimulator


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the environment and ``.env`` of whoever runs the tests out of them."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A migrated SQLite file."""
    engine = open_engine(f"sqlite:///{tmp_path / 'dashboard.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return open_store((tmp_path / "pictures").as_uri())


@pytest.fixture
def hotmart() -> Iterator[HotmartSimulator]:
    """A running Hotmart that knows nothing yet."""
    with HotmartSimulator() as simulator:
        yield simulator


@pytest.fixture
def openai() -> Iterator[OpenAISimulator]:
    """A running image service that paints at once."""
    with OpenAISimulator() as simulator:
        yield simulator


@pytest.fixture
def to_hotmart(hotmart: HotmartSimulator) -> dict[str, Any]:
    """The settings that connect to the running Hotmart."""
    return {
        "hotmart_client_id": CLIENT_ID,
        "hotmart_client_secret": CLIENT_SECRET,
        "hotmart_api_url": hotmart.url,
        "hotmart_auth_url": hotmart.url,
        "hotmart_sales_months": 2,
    }


@pytest.fixture
def to_openai(openai: OpenAISimulator) -> dict[str, Any]:
    """The settings that connect to the running image service, without a rate limit."""
    return {
        "openai_api_key": openai.key,
        "openai_base_url": openai.url,
        "images_per_minute": 0,
    }


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Puts an App together in the test's folder; its jobs don't run."""
    apps: list[App] = []

    def make(**settings: Any) -> App:
        app = create_app(read_settings(**{"data_dir": tmp_path} | settings))
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.engine.dispose()


@pytest.fixture(scope="session")
def _known_queues(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job database whose queues are known. On a new one DBOS finds them after a second."""
    folder = tmp_path_factory.mktemp("jobs")
    app = create_app(Settings(_env_file=None, data_dir=folder))
    app.jobs.launch()
    app.jobs.close()
    app.engine.dispose()
    return folder / "jobs.db"


@pytest.fixture
def running_app(
    make_app: Callable[..., App],
    tmp_path: Path,
    _known_queues: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., App]]:
    """Puts an App together and launches its jobs. Called again, it stops the one before."""
    # Tests have less time than marketers: look at the queues more often, and stop at once.
    monkeypatch.setattr("core.jobs._POLL_S", 0.05)
    monkeypatch.setattr("core.jobs._POLL_PAID_S", 0.05)
    impatient = {"notification_listener_polling_interval_sec": 0.05}
    config = jobs._config
    monkeypatch.setattr(jobs, "_config", lambda settings: config(settings) | impatient)
    shutil.copy(_known_queues, tmp_path / "jobs.db")
    running: list[App] = []

    def stop() -> None:
        while running:
            running.pop().jobs.close()

    def run(**settings: Any) -> App:
        stop()
        app = make_app(**settings)
        running.append(app)
        app.jobs.launch()
        return app

    yield run
    stop()
