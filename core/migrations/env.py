"""Run Alembic's migrations on the connection that ``core.database.migrate`` hands over."""

from alembic import context
from sqlmodel import SQLModel

import core.models  # noqa: F401  (fills the metadata)

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
)
context.run_migrations()
