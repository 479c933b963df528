"""The trash: offers and pictures can be deleted, and no number is given twice"""

import sqlalchemy as sa
from alembic import op

from core.models import UtcDateTime

revision = "0005"
down_revision = "0004"

_LISTS = {
    "ix_products_live_newest": ["first_seen_at", "id"],
    "ix_products_live_name": ["search_text", "id"],
    "ix_products_live_price": ["price", "id"],
    "ix_products_live_status": ["status"],
    "ix_products_live_picture": ["current_image_id", "first_seen_at", "id"],
    "ix_products_live_origin": ["origin", "first_seen_at", "id"],
    "ix_products_archived": ["first_seen_at", "id"],
}


def upgrade() -> None:
    for name in _LISTS:
        op.drop_index(name, "products")
    op.add_column("products", sa.Column("deleted_at", UtcDateTime(), nullable=True))
    op.add_column("product_image_history", sa.Column("deleted_at", UtcDateTime(), nullable=True))
    if op.get_context().dialect.name == "sqlite":
        for table in ("products", "product_image_history", "product_notes"):
            with op.batch_alter_table(
                table, recreate="always", table_kwargs={"sqlite_autoincrement": True}
            ):
                pass
    for name, columns in _LISTS.items():
        _index(name, "products", columns, where=f"{_archived(name)} AND deleted_at IS NULL")
    for table in ("products", "product_image_history", "product_notes"):
        _index(f"ix_{table}_deleted", table, ["deleted_at"], where="deleted_at IS NOT NULL")
    op.create_index(
        "ix_product_image_history_restored_from_id", "product_image_history", ["restored_from_id"]
    )


def _archived(name: str) -> str:
    return f"archived_at IS {'NOT ' if name == 'ix_products_archived' else ''}NULL"


def _index(name: str, table: str, columns: list[str], *, where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
