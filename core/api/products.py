"""Calls about offers."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from core import products
from core.api.gate import Editor, Here, Viewer
from core.api.problems import described
from core.api.shapes import (
    NewProduct,
    ProductChanges,
    ProductList,
    ProductRow,
    or_blank,
    product_row,
)
from core.app import App
from core.database import reading, transaction
from core.products import Filter, Sort
from core.text import storable

router = APIRouter(prefix="/products", tags=["Offers"])


@router.get("", responses=described(401, 403))
def list_products(
    app: Here,
    _actor: Viewer,
    search: Annotated[str, Query(max_length=500)] = "",
    status: str = "",
    origin: str = "",
    has_image: Annotated[bool | None, or_blank(None)] = None,
    sort: Annotated[Sort, or_blank(Sort.NEWEST)] = Sort.NEWEST,
    page: Annotated[int, Query(ge=1, le=10**9), or_blank(1)] = 1,
    page_size: Annotated[
        int, Query(ge=1, le=200), or_blank(products.PAGE_SIZE)
    ] = products.PAGE_SIZE,
) -> ProductList:
    """List offers, one page at a time. `status=ARCHIVED` gives those no longer listed."""
    wanted = Filter(search, storable(status) or None, storable(origin) or None, has_image)
    with reading(app.engine) as session:
        total = products.count_products(session, wanted)
        found = products.list_products(session, wanted, sort=sort, page=page, page_size=page_size)
    rows = [product_row(summary) for summary in found]
    return ProductList(items=rows, total=total, page=page, page_size=page_size)


@router.post("", status_code=201, responses=described(401, 403, 413))
def create_product(app: Here, actor: Editor, body: NewProduct) -> ProductRow:
    """Add an offer by hand."""
    with transaction(app.engine) as session:
        product = products.add_product(session, body.model_dump(), by=actor, now=datetime.now(UTC))
    return _row(app, product.id or 0)


@router.get("/{product_id}", responses=described(401, 403, 404))
def get_product(app: Here, _actor: Viewer, product_id: int) -> ProductRow:
    """Return one offer."""
    return _row(app, product_id)


@router.patch("/{product_id}", responses=described(401, 403, 404, 413))
def change_product(app: Here, actor: Editor, product_id: int, body: ProductChanges) -> ProductRow:
    """Change what is known of an offer. What a sync reads from Hotmart can't be changed here."""
    with transaction(app.engine) as session:
        products.change_product(
            session,
            product_id,
            body.model_dump(exclude_unset=True),
            by=actor,
            now=datetime.now(UTC),
        )
    return _row(app, product_id)


def _row(app: App, product_id: int) -> ProductRow:
    with reading(app.engine) as session:
        products.get_product(session, product_id)
        return product_row(products.summarise(session, [product_id])[0])
