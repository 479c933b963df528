"""The Offers page: every offer as a card with its picture."""

from datetime import UTC, datetime

import streamlit as st

from core import covers, ledger, products
from core.access import Actor, Role
from core.app import App
from core.database import reading, transaction
from core.language import _, plural
from core.models import Origin
from core.products import Cover, Filter, ProductSummary, Sort
from core.trash import Kind
from pages.components import (
    formats,
    guarded,
    offer_card,
    opened,
    scrolling,
    undo,
    url_state,
    wiring,
)
from pages.components.feedback import say, show_errors

_WATCH_S = 1.5
_WITH_PICTURE = {"with": True, "without": False}
_COVERS = {"making": Cover.MAKING, "failed": Cover.FAILED}


def draw_banner(app: App, actor: Actor) -> None:
    """Say what is sample and how to connect; and what is odd about the settings."""
    can_connect = actor.may(Role.ADMIN)
    settings = app.settings
    for notice in app.notices if can_connect else ():
        st.warning(formats.plain(notice), icon=":material/info:")
    with reading(app.engine) as session:
        samples = products.count_products(session, Filter(origin=Origin.SAMPLE))
    if not settings.hotmart_is_connected and not can_connect:
        st.info(
            _("These are **sample offers**: Capista is not connected to Hotmart yet."),
            icon=":material/science:",
        )
    elif not settings.hotmart_is_connected:
        st.info(
            _(
                "These are **sample offers**. To see your own, put `HOTMART_CLIENT_ID` and"
                " `HOTMART_CLIENT_SECRET` (Hotmart: Tools, Developer Credentials) into the file"
                " `.env` and start Capista again."
            )
            if samples
            else _(
                "Capista is not connected to Hotmart yet: a sync brings in **sample offers**. To"
                " bring in your own, put `HOTMART_CLIENT_ID` and `HOTMART_CLIENT_SECRET`"
                " (Hotmart: Tools, Developer Credentials) into the file `.env` and start Capista"
                " again."
            ),
            icon=":material/science:",
        )
    elif samples:
        with st.container(horizontal=True, vertical_alignment="center"):
            count = plural("{count} sample offer is", "{count} sample offers are", samples).format(
                count=samples
            )
            st.text(_("{count} still among yours.").format(count=count))
            if actor.may(Role.EDITOR) and st.button(
                _("Put the samples away"), key="archive-samples"
            ):
                with show_errors():
                    with transaction(app.engine) as session:
                        products.archive_samples(
                            session, by=wiring.current_actor(), now=datetime.now(UTC)
                        )
                    st.rerun()
    is_all_sample = samples and not settings.hotmart_is_connected
    if can_connect and is_all_sample and not settings.images_are_connected:
        st.caption(
            _("Covers are set by Capista itself, for free. For AI covers, set `OPENAI_API_KEY`.")
        )


def draw_filters(known_statuses: list[str]) -> tuple[Filter, Sort]:
    """Draw the search, the filters and the order; return what is wanted."""
    changed = url_state.first_page
    with st.container(horizontal=True, vertical_alignment="bottom"):
        search = url_state.search_box(
            _("Search"), key="search", placeholder=_("Name or producer"), on_change=changed
        )
        status = url_state.choice(
            _("Status"),
            {"": _("All listed")}
            | {name: formats.status(name) for name in [*known_statuses, products.ARCHIVED]},
            key="status",
            on_change=changed,
        )
        origin = url_state.choice(
            _("Origin"),
            {"": _("All")} | {name.value: formats.origin(name) for name in Origin},
            key="origin",
            on_change=changed,
        )
        picture = url_state.choice(
            _("Picture"),
            {
                "any": _("All"),
                "with": _("With picture"),
                "without": _("Without picture"),
                "making": _("Being made"),
                "failed": _("Failed cover"),
            },
            key="picture",
            on_change=changed,
        )
        sort = url_state.choice(
            _("Sort"),
            {
                Sort.NEWEST.value: _("Newest first"),
                Sort.NAME.value: _("Name A to Z"),
                Sort.NAME_DOWN.value: _("Name Z to A"),
                Sort.PRICE.value: _("Price, low first"),
                Sort.PRICE_DOWN.value: _("Price, high first"),
            },
            key="sort",
            on_change=changed,
        )
    wanted = Filter(
        search,
        status or None,
        origin or None,
        has_image=_WITH_PICTURE.get(picture),
        cover=_COVERS.get(picture),
    )
    return wanted, Sort(sort)


def draw_missing(app: App, count: int) -> None:
    """Offer to make the covers that no sync asked for."""
    if not count:
        return
    with reading(app.engine) as session:
        trouble = ledger.account_trouble(session)
    if trouble:
        st.warning(formats.plain(trouble), icon=":material/error:")
    settings = app.settings
    estimate = covers.estimate(settings, "x" * 800) if settings.images_are_connected else None
    price = (
        _("about {price}").format(price=formats.dollars(estimate.high * count))
        if estimate
        else (_("price not known") if settings.images_are_connected else _("free"))
    )
    label = plural(
        "Make the cover for the other {count} ({price})",
        "Make covers for the other {count} ({price})",
        count,
    ).format(count=count, price=price)
    if st.button(formats.plain(label), key="make-missing", icon=":material/auto_awesome:"):
        with show_errors():
            ordered = app.jobs.order_missing_covers(by=wiring.current_actor())
            say(
                plural("{count} cover ordered.", "{count} covers ordered.", ordered).format(
                    count=ordered
                )
            )
            st.rerun()


def draw_cards(app: App, wanted: Filter, sort: Sort, page: int) -> None:
    """Draw one page of cards; they change by themselves while covers are being made."""

    def read() -> list[ProductSummary]:
        with reading(app.engine) as session:
            return products.list_products(session, wanted, sort=sort, page=page)

    already_read = [read()]
    is_watched = any(summary.is_being_made for summary in already_read[0])

    def draw() -> None:
        found = already_read.pop() if already_read else read()
        if is_watched and not any(summary.is_being_made for summary in found):
            opened.rerun_page()  # all done: the next run of the page stops watching
        can_edit = wiring.current_actor().may(Role.EDITOR)
        grid = st.grid("auto", min_column_width=220, key="offer-grid")
        for summary in found:
            with grid:
                offer_card.draw(app, summary, can_edit=can_edit)

    guarded.fragment(draw, run_every=_WATCH_S if is_watched else None)()


def draw_empty(app: App, wanted: Filter) -> None:
    """Say why there is nothing to see, and what to do."""
    if wanted == Filter():
        with reading(app.engine) as session:
            archived = products.count_products(session, Filter(status=products.ARCHIVED))
        if archived:
            st.info(
                plural(
                    "{count} offer is no longer listed. Its pictures and notes are kept.",
                    "{count} offers are no longer listed. Their pictures and notes are kept.",
                    archived,
                ).format(count=archived)
            )
            if st.button(_("Show them"), key="show-archived"):
                st.query_params["status"] = products.ARCHIVED
                st.rerun()
            return
        st.info(_("No offers yet. Press *Sync with Hotmart* in the sidebar to bring them in."))
        return
    st.info(_("No offer matches this search and these filters."))
    if st.button(_("Clear search and filters"), key="clear-filters"):
        url_state.clear("search", "status", "origin", "picture", "sort", "page")
        st.rerun()


app = wiring.current_app()
st.title(_("Offers"))
actor = wiring.current_actor()
can_edit = actor.may(Role.EDITOR)
draw_banner(app, actor)
with reading(app.engine) as session:
    known_statuses = products.statuses(session)
    missing = products.count_without_picture(session)
wanted, sort = draw_filters(known_statuses)
with reading(app.engine) as session:
    total = products.count_products(session, wanted)
st.caption(formats.plain(plural("{count} offer", "{count} offers", total).format(count=total)))
if can_edit:
    undo.draw(app, Kind.OFFER)
    draw_missing(app, missing)
cards = st.container()
page = url_state.page_number(products.page_count(total))
scrolling.begin_at_the_top(page)
with cards:
    if total:
        draw_cards(app, wanted, sort, page)
    else:
        draw_empty(app, wanted)
