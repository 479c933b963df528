"""The field that takes a picture of the marketer's own."""

from datetime import UTC, datetime

import streamlit as st

from core import images
from core.app import App
from core.language import _
from core.models import Product
from core.pictures import MAX_BYTES
from pages.components import upload_room, wiring
from pages.components.feedback import say, show_errors

_ENDINGS = ["jpg", "jpeg", "jfif", "png", "apng", "webp", "gif", "avif", "avifs"]
"""The names under which browsers hand over what ``pictures.py`` takes."""


def draw(app: App, product: Product) -> bool:
    """Draw the field; return whether a picture was taken just now."""
    counter = f"uploads-{product.id}"
    turn = st.session_state.setdefault(counter, 0)
    file = st.file_uploader(
        _("Replace it with a picture of your own"),
        type=_ENDINGS,
        max_upload_size=MAX_BYTES // 1024**2,
        key=f"upload-{product.id}-{turn}",
        help=_("JPEG, PNG, WebP, GIF or AVIF. The present picture stays in the history."),
    )
    if file is None:
        return False
    with show_errors():
        images.replace_image(
            app.engine,
            app.store,
            product.id or 0,
            data=file.getvalue(),
            by=wiring.current_actor(),
            now=datetime.now(UTC),
        )
        # The field would hand the same file over again at the next rerun: a fresh one takes over.
        st.session_state[counter] = turn + 1
        upload_room.let_go(file)
        say(_("The picture was replaced. The earlier one is in the history."))
        return True
    return False
