"""One offer's pictures: the current one, making a new one, and the whole history."""

from datetime import UTC, datetime
from html import escape

import streamlit as st

from core import images, products
from core.access import Role
from core.app import App
from core.database import reading, transaction
from core.language import _
from core.models import ACTIVE_STATES, CoverJob, JobState, Product, ProductImage
from core.trash import Kind
from pages.components import generate_form, guarded, opened, undo, upload_form, wiring
from pages.components.feedback import say, show_errors
from pages.components.formats import busy, dollars, method, moment, person, plain

_WATCH_S = 1.5


def draw(app: App, product: Product) -> None:
    """Draw the panel of one offer. While a cover is made, its pictures change by themselves.

    The forms stay out of what changes: a rerun of the whole panel could lose what is typed.
    """
    product_id = product.id or 0
    with reading(app.engine) as session:
        job = session.get(CoverJob, product.cover_job_id) if product.cover_job_id else None
    watched = job is not None and job.state in ACTIVE_STATES
    run_every = _WATCH_S if watched else None

    left, right = st.columns(2, gap="medium")
    with left:
        guarded.fragment(_draw_state, run_every=run_every)(app, product_id, watched)
    ordered = replaced = False
    with right:
        if not wiring.current_actor().may(Role.EDITOR):
            st.info(_("You may look at pictures and download them. Editors may change them."))
        else:
            ordered, replaced = _draw_forms(app, product)
    if ordered or replaced:
        st.rerun()
    guarded.fragment(_draw_history, run_every=run_every)(app, product_id)


def _draw_forms(app: App, product: Product) -> tuple[bool, bool]:
    with st.container(border=True):
        ordered = generate_form.draw(app, product)
    with st.container(border=True):
        replaced = upload_form.draw(app, product)
    _draw_delete(app, product)
    return ordered, replaced


def _draw_delete(app: App, product: Product) -> None:
    product_id = product.id or 0
    if st.button(
        _("Move the offer to the trash"),
        key=f"delete-offer-{product_id}",
        type="tertiary",
        icon=":material/delete:",
    ):
        with show_errors():
            with transaction(app.engine) as session:
                products.delete_product(
                    session, product_id, by=wiring.current_actor(), now=datetime.now(UTC)
                )
            undo.remember(Kind.OFFER, product_id, product_id)
            opened.forget()
            st.query_params.pop("product", None)
            st.rerun()


def _draw_state(app: App, product_id: int, watched: bool) -> None:
    with reading(app.engine) as session:
        product = products.get_product(session, product_id)
        current = session.get(ProductImage, product.current_image_id or 0)
        job = session.get(CoverJob, product.cover_job_id) if product.cover_job_id else None
    if watched and (job is None or job.state not in ACTIVE_STATES):
        opened.rerun_page()  # the next run stops watching
    _draw_current(app, product, current)
    _draw_job(app, product, job)


def _draw_current(app: App, product: Product, current: ProductImage | None) -> None:
    if current is None:
        st.info(_("This offer has no picture yet. Generate a cover or upload a picture."))
        return
    st.image(
        current.image_url,
        alt=_("Current picture of {name}").format(name=product.name),
        width="stretch",
    )
    name = current.image_url.removeprefix(images.PICTURES_PATH)
    st.download_button(
        _("Download original"),
        data=lambda: app.store.read(name),
        file_name=f"capista-{product.id}-{current.id}.{name.rpartition('.')[2]}",
        mime=current.media_type,
        icon=":material/download:",
        key=f"download-{product.id}",
        on_click="ignore",
    )


def _draw_job(app: App, product: Product, job: CoverJob | None) -> None:
    if job is None or job.state not in (*ACTIVE_STATES, JobState.FAILED):
        return
    if job.state == JobState.FAILED:
        st.warning(
            plain(_("The newest cover was not made. {why}").format(why=job.error)),
            icon=":material/error:",
        )
        can_edit = wiring.current_actor().may(Role.EDITOR)
        if can_edit and st.button(_("Try again"), key=f"panel-retry-{product.id}"):
            with show_errors():
                app.jobs.order_cover(product.id or 0, prompt=job.prompt, by=wiring.current_actor())
                st.rerun()
        return

    words = escape(busy(job.waits_until) or _("The cover is being made"))
    st.html(f'<span class="cap-turning" role="status">{words}</span>')


def _draw_history(app: App, product_id: int) -> None:
    with reading(app.engine) as session:
        product = products.get_product(session, product_id)
        history = images.history(session, product_id)
    if not history:
        return
    st.subheader(_("History"))
    can_edit = wiring.current_actor().may(Role.EDITOR)
    if can_edit:
        undo.draw(app, Kind.PICTURE, product_id=product_id)
    labels = {
        image.id: f"{number}. {method(image.generation_method)}, {moment(image.created_at)}"
        for number, image in zip(range(len(history), 0, -1), history, strict=True)
    }
    if len(history) > 1:
        _draw_comparison(product, history, labels)
    grid = st.grid("auto", min_column_width=200, key=f"history-grid-{product.id}")
    for image in history:
        with (
            grid,
            st.container(border=True, key=f"history-{image.id}", gap="xsmall", height="stretch"),
        ):
            _draw_image(app, product, image, labels[image.id], can_edit=can_edit)


def _draw_image(
    app: App, product: Product, image: ProductImage, label: str, *, can_edit: bool
) -> None:
    st.image(images.thumbnail_url(image.image_url), alt=label, width="stretch")
    st.text(label)
    facts = [
        f"{image.width} × {image.height}",
        *[fact for fact in (image.model, image.quality) if fact],
        *([dollars(image.cost_usd)] if image.cost_usd is not None else []),
        person(image.created_by),
    ]
    st.caption(plain(" · ".join(facts)))
    if image.prompt:
        with st.popover(_("Prompt"), key=f"prompt-of-{image.id}"):
            st.text(image.prompt)
    if image.id == product.current_image_id:
        st.badge(_("Current"), color="green")
    elif can_edit:
        with st.container(horizontal=True, gap="xsmall"):
            _draw_changes(app, image)


def _draw_changes(app: App, image: ProductImage) -> None:
    if st.button(_("Revert"), key=f"revert-{image.id}"):
        with show_errors():
            with transaction(app.engine) as session:
                images.revert(
                    session,
                    image.product_id,
                    image.id or 0,
                    by=wiring.current_actor(),
                    now=datetime.now(UTC),
                )
            say(_("The earlier picture is back. The one before it stays in the history."))
            st.rerun()
    if st.button(_("Delete"), key=f"delete-image-{image.id}", type="tertiary"):
        with show_errors():
            with transaction(app.engine) as session:
                images.delete_image(
                    session,
                    image.product_id,
                    image.id or 0,
                    by=wiring.current_actor(),
                    now=datetime.now(UTC),
                )
            undo.remember(Kind.PICTURE, image.id or 0, image.product_id)
            opened.rerun_here()


def _draw_comparison(
    product: Product, history: list[ProductImage], labels: dict[int | None, str]
) -> None:
    chosen = st.multiselect(
        _("Compare two pictures"),
        [image.id for image in history],
        format_func=labels.__getitem__,
        max_selections=2,
        key=f"compare-{product.id}",
        placeholder=_("Choose two"),
    )
    if len(chosen) == 2:
        by_id = {image.id: image for image in history}
        for column, image_id in zip(st.columns(2), chosen, strict=True):
            with column:
                st.image(by_id[image_id].image_url, alt=labels[image_id], width="stretch")
                st.text(labels[image_id])
