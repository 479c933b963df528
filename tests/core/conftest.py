import pytest
from sqlmodel import select

from core.database import reading


@pytest.fixture
def rows(engine):
    """Returns all rows of a table."""

    def rows(table):
        with reading(engine) as session:
            return [row.model_dump() for row in session.exec(select(table))]

    return rows
