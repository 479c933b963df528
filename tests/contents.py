"""What a database holds, all of it: to see that nothing was changed, or everything came along."""

from typing import Any

from sqlalchemy import Engine
from sqlmodel import SQLModel

from core.database import reading


def everything(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables."""
    with reading(engine) as session:
        return {
            table.name: [tuple(row) for row in session.execute(table.select())]
            for table in SQLModel.metadata.sorted_tables
        }
