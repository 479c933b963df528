"""Puts the process together: settings, App, routes, lifespan. Start it with ``make run``."""

import gc
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from core.api import create_api, picture_route
from core.api.guard import Guard, page_policy
from core.api.limits import BodyLimit, SocketLimit, allow_open_files
from core.app import App, alone, create_app
from core.errors import DashboardError
from core.settings import read_settings
from pages.components import feedback, scrolling, sign_in, wiring
from pages.components.upload_room import UploadRoom

ROOT = Path(__file__).parent
STREAMLIT_PAGE = Path(st.__file__).parent / "static" / "index.html"
POLICY = page_policy([STREAMLIT_PAGE.read_text(), scrolling.TO_THE_TOP])


@asynccontextmanager
async def lifespan(_server: Any) -> AsyncIterator[None]:
    """Open everything before the first page is served; jobs start beside it."""
    allow_open_files()
    held = ExitStack()
    try:
        settings = read_settings()
        held.enter_context(alone(settings))
        app = create_app(settings, site=sign_in.read_site())
    except DashboardError as error:
        # Streamlit would print a traceback; whoever starts Capista needs just the sentence.
        print(f"Capista can't start. {error}", file=sys.stderr, flush=True)
        os._exit(1)
    for notice in app.notices:
        print(notice, file=sys.stderr)
    if app.site.requires_sign_in:
        wiring.provide(app, sign_in.identify)
    else:
        wiring.provide(app)
    threading.Thread(target=_launch_jobs, args=(app,), name="jobs-launch", daemon=True).start()
    with held:
        yield
        app.jobs.close()
        wiring.provide(None)


def _launch_jobs(app: App) -> None:
    app.jobs.launch()
    # What is loaded by now stays: the collector need not look through it after every rerun.
    gc.collect()
    gc.freeze()


app = st.App(
    ROOT / "pages" / "frame.py",
    routes=[
        picture_route(wiring.current_app),
        Mount("/api", create_api(wiring.current_app)),
        Mount("/app/static/brand", StaticFiles(directory=ROOT / "data" / "brand")),
    ],
    middleware=[
        Middleware(Guard, app_source=wiring.current_app, policy=POLICY),
        Middleware(SocketLimit),
        Middleware(BodyLimit),
        Middleware(sign_in.Doors),
        Middleware(UploadRoom),
    ],
    lifespan=lifespan,
    on_script_error=feedback.on_script_error,
)

if __name__ == "__main__":
    app.run()
