"""One offer in the grid."""

from html import escape

import streamlit as st

from core import images
from core.app import App
from core.language import _, plural
from core.products import ProductSummary
from pages.components import wiring
from pages.components.dialogs import open_dialog
from pages.components.feedback import say, show_errors
from pages.components.formats import busy, money, status


def draw(app: App, summary: ProductSummary, *, can_edit: bool) -> None:
    """Draw a card: the picture, what is known of the offer, and what can be done with it.

    Everything from outside is escaped: the text is one HTML element, because native ones can't
    cut a name after two lines, and each element of the 24 cards costs time.
    """
    product = summary.product
    with st.container(border=True, key=f"card-{product.id}", gap="xsmall", height="stretch"):
        if product.image_url:
            st.image(
                images.thumbnail_url(product.image_url),
                alt=_("Picture of {name}").format(name=product.name),
                width="stretch",
            )
        else:
            st.html(_no_picture(summary))
        st.html(_facts(summary))
        if (
            can_edit
            and summary.failure
            and st.button(_("Try again"), key=f"retry-{product.id}", icon=":material/refresh:")
        ):
            with show_errors():
                app.jobs.order_cover(
                    product.id or 0, prompt=_prompt_of(summary), by=wiring.current_actor()
                )
                say(_("The cover is being made again."))
                st.rerun()
        with st.container(horizontal=True, gap="xsmall"):
            for kind, label, needs_editor in (
                ("regenerate", _("Regenerate"), True),
                ("replace", _("Replace image"), True),
                ("manage", _("Manage"), False),
            ):
                if needs_editor and not can_edit:
                    continue
                if st.button(label, key=f"{kind}-{product.id}", type="tertiary"):
                    open_dialog(kind, product.id or 0)


def _facts(summary: ProductSummary) -> str:
    product = summary.product
    name = escape(product.name)
    parts = [
        f'<div class="cap-name" title="{name}">{name}</div>',
        f'<div class="cap-line">{escape(product.producer_name or "")}</div>',
        '<div class="cap-facts">',
        f'<span class="cap-price">{escape(money(product.price, product.currency))}</span>',
    ]
    if not product.is_live:
        parts.append(f'<span class="cap-badge">{escape(status("ARCHIVED"))}</span>')
    elif product.status:
        parts.append(f'<span class="cap-badge">{escape(status(product.status))}</span>')
    if summary.notes:
        notes = plural("{count} note", "{count} notes", summary.notes).format(count=summary.notes)
        parts.append(f"<span>{escape(notes)}</span>")
    parts.append("</div>")
    if summary.is_being_made and product.image_url:
        parts.append(f'<div class="cap-making" role="status">{escape(_making(summary))}</div>')
    elif summary.failure:
        why = escape(summary.failure)
        parts.append(f'<div class="cap-failed" role="alert" title="{why}">{why}</div>')
    return "".join(parts)


def _no_picture(summary: ProductSummary) -> str:
    if summary.is_being_made:
        words = f'<span class="cap-turning" role="status">{escape(_making(summary))}</span>'
    else:
        words = escape(_("No picture yet"))
    return f'<div class="cap-empty">{words}</div>'


def _making(summary: ProductSummary) -> str:
    return busy(summary.job.waits_until if summary.job else None) or _("Making the cover")


def _prompt_of(summary: ProductSummary) -> str | None:
    return summary.job.prompt if summary.job else None
