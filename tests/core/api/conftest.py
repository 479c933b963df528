"""A real server with the calls of an App, and whoever calls it."""

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
import uvicorn
from sqlmodel import Session
from starlette.applications import Starlette
from starlette.routing import Mount

from core import tokens
from core.access import COMMAND, Role
from core.api import create_api
from core.api.limits import BodyLimit
from core.app import App
from core.database import transaction
from tests.waiting import wait_for


class Caller:
    """Calls the API over HTTP, as an editor unless told otherwise."""

    def __init__(self, app: App, address: tuple[str, int]) -> None:
        self.app = app
        self.address = address
        self.url = f"http://{address[0]}:{address[1]}/api"
        with transaction(app.engine) as session:
            self.secrets = {role: _new_token(session, role) for role in Role}
        self._session = requests.Session()
        self._session.trust_env = False

    def new_token(self, role: Role = Role.EDITOR, **changes: Any) -> str:
        with transaction(self.app.engine) as session:
            return _new_token(session, role, **changes)

    def __call__(
        self,
        method: str,
        path: str,
        *,
        role: Role | None = Role.EDITOR,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> requests.Response:
        secret = token or (self.secrets[role] if role else None)
        given = {"Authorization": f"Bearer {secret}"} if secret else {}
        return self._session.request(
            method, self.url + path, headers=given | (headers or {}), timeout=30, **more
        )


def _new_token(session: Session, role: Role, **changes: Any) -> str:
    boring = {"name": "script", "by": COMMAND, "now": datetime.now(UTC)}
    _token, secret = tokens.create_token(session, role=role, **boring | changes)
    return secret


@pytest.fixture
def serve() -> Iterator[Callable[[App], Caller]]:
    """Serves an App on loopback; returns who calls it."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def serve(app: App) -> Caller:
        web = BodyLimit(Starlette(routes=[Mount("/api", create_api(lambda: app))]))
        server = uvicorn.Server(uvicorn.Config(web, log_level="error", lifespan="off"))
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        running.append((server, thread))
        wait_for(lambda: server.started)
        return Caller(app, listener.getsockname())

    yield serve
    for server, _thread in running:
        server.should_exit = server.force_exit = True
    for _server, thread in running:
        thread.join(10)


@pytest.fixture
def call(make_app: Callable[..., App], serve: Callable[[App], Caller]) -> Caller:
    """Calls an App whose jobs don't run."""
    return serve(make_app())


@pytest.fixture
def call_running(
    running_app: Callable[..., App], serve: Callable[[App], Caller]
) -> Callable[..., Caller]:
    """Calls an App whose jobs run, with the settings given."""
    return lambda **settings: serve(running_app(**settings))


def is_problem(answer: requests.Response, status: int, detail: str = "") -> bool:
    """Whether an answer is a problem with this status; fails saying what it is instead."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert sorted(body) == ["detail", "status", "title", "type"]
    assert body["status"] == status
    assert body["title"]
    assert detail in body["detail"], body
    return True
