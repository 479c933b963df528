"""Picture files that nothing names, since when"""

import sqlalchemy as sa
from alembic import op

from core.models import UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "orphans",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("found_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
