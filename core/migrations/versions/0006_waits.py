"""Until when an order or a sync waits before it asks a service again"""

import sqlalchemy as sa
from alembic import op

from core.models import UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for table in ("cover_jobs", "sync_runs"):
        op.add_column(table, sa.Column("waits_until", UtcDateTime(), nullable=True))
