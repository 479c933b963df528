"""The process whose syncs and covers are measured: Capista without its pages.

It is what ``dashboard.py`` puts together, and prints one JSON object. Started by ``syncs`` and
``cover_queue``, never by itself.
"""

import json
import sys
import time
from typing import Any

from sqlalchemy import func
from sqlmodel import select

from benchmarks.harness import peak_memory, wait_for
from core import covers, sync
from core.access import COMMAND
from core.app import App, create_app
from core.database import reading, transaction
from core.models import JobState, Product, ProductOffer
from core.products import Filter, count_products
from core.settings import read_settings
from core.sync import Trigger

_LIMIT_S = 300.0
_TABLES = ("products", "product_offers")


def sync_twice(app: App) -> dict[str, Any]:
    """Sync, then sync again while the database itself counts the rows that are written."""
    first = _sync(app)
    peak = peak_memory()
    with transaction(app.engine) as session:
        connection = session.connection()
        connection.exec_driver_sql("CREATE TABLE benchmark_writes (name TEXT)")
        for table in _TABLES:
            for change in ("INSERT", "UPDATE", "DELETE"):
                connection.exec_driver_sql(
                    f"CREATE TRIGGER benchmark_{table}_{change} AFTER {change} ON {table}"
                    f" BEGIN INSERT INTO benchmark_writes VALUES ('{table}'); END"
                )
    again = _sync(app)
    with reading(app.engine) as session:
        written = session.connection().exec_driver_sql("SELECT name FROM benchmark_writes").all()
        return {
            "first": first,
            "again": again,
            "peak": peak,
            "peak_after_both": peak_memory(),
            "product_rows_written": sum(name == "products" for (name,) in written),
            "offer_rows_written": sum(name == "product_offers" for (name,) in written),
            "products": session.exec(select(func.count()).select_from(Product)).one(),
            "offers": session.exec(select(func.count()).select_from(ProductOffer)).one(),
        }


def make_covers(app: App) -> dict[str, Any]:
    """Order a cover for every offer that has none, and wait for the last."""
    start = time.perf_counter()
    ordered = app.jobs.order_missing_covers(by=COMMAND)

    def is_done() -> bool:
        with reading(app.engine) as session:
            return covers.count_jobs(session) == 0

    wait_for(is_done, "the last cover", limit_s=_LIMIT_S)
    seconds = time.perf_counter() - start
    with reading(app.engine) as session:
        made = count_products(session, Filter(has_image=True))
    return {"seconds": seconds, "ordered": ordered, "made": made}


def _sync(app: App) -> dict[str, Any]:
    start = time.perf_counter()
    run_id = app.jobs.start_sync(Trigger.COMMAND, by=COMMAND).id or 0

    def finished() -> sync.SyncRun | None:
        with reading(app.engine) as session:
            run = sync.get_run(session, run_id)
        return None if run.state == JobState.RUNNING else run

    run = wait_for(finished, "the sync", limit_s=_LIMIT_S, every_s=0.05)
    counts = ("state", "error", "seen", "created", "updated", "unchanged", "archived")
    return {"seconds": time.perf_counter() - start} | {name: getattr(run, name) for name in counts}


def main() -> None:
    """Open Capista, do what is asked for, and say how it went."""
    app = create_app(read_settings(_env_file=None))
    app.jobs.launch()
    try:
        print(json.dumps({"sync": sync_twice, "covers": make_covers}[sys.argv[1]](app)))
    finally:
        app.jobs.close()


if __name__ == "__main__":
    main()
