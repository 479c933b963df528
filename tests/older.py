"""A database as an older version of Capista left it."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, insert, inspect
from sqlmodel import SQLModel

from core.database import MIGRATIONS


def make_database(engine: Engine, revision: str, *rows: SQLModel) -> None:
    """Bring an empty database up to ``revision``, and save rows; newer columns are left out."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for row in rows:
            columns = inspect(connection).get_columns(str(row.__tablename__))
            values = row.model_dump(include={column["name"] for column in columns})
            connection.execute(insert(type(row)).values(values))
