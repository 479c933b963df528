"""The ledger of paid calls, with what the pictures so far have cost"""

import sqlalchemy as sa
from alembic import op

from core.models import Money, UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "paid_calls",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("job_id", sa.String(), nullable=True),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("request_digest", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("quality", sa.String(), nullable=True),
        sa.Column("size", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("estimated_usd", Money(), nullable=True),
        sa.Column("cost_usd", Money(), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_paid_calls_job_id", "paid_calls", ["job_id"])
    op.create_index("ix_paid_calls_asked_at", "paid_calls", ["asked_at"])
    op.execute(
        """
        INSERT INTO paid_calls (id, job_id, product_id, request_digest, model, quality, size,
                                state, cost_usd, asked_by, asked_at, answered_at)
        SELECT 'history-' || id, job_id, product_id, '', model, quality, size,
               'charged', cost_usd, coalesce(created_by, ''), created_at, created_at
        FROM product_image_history
        WHERE cost_usd IS NOT NULL AND restored_from_id IS NULL
        """
    )
