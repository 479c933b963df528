"""The sidebar: the sync button, its progress, what the last run did, what is connected."""

from datetime import UTC, datetime

import streamlit as st

from core import covers, ledger, sync
from core.access import Role
from core.app import App
from core.database import reading
from core.language import _, plural
from core.models import JobState, SyncRun
from core.sync import Trigger
from pages.components import formats, guarded, opened, wiring
from pages.components.feedback import say, show_errors
from pages.components.formats import ago, dollars, plain

_WATCH_S = 1.0


def draw(app: App) -> None:
    """Draw the panel into the sidebar."""
    if wiring.current_actor().may(Role.EDITOR) and st.button(
        _("Sync with Hotmart"), key="sync", type="primary", width="stretch", icon=":material/sync:"
    ):
        with show_errors():
            app.jobs.start_sync(Trigger.BUTTON, by=wiring.current_actor())
    already_read = [_read(app)]
    run, covers_under_way, _wait = already_read[0]
    watched_run = run.id if run and run.state == JobState.RUNNING else None
    watched = bool(watched_run or covers_under_way)

    def progress() -> None:
        _draw_progress(app, watched_run, *(already_read.pop() if already_read else _read(app)))

    guarded.fragment(progress, run_every=_WATCH_S if watched else None)()


def _read(app: App) -> tuple[SyncRun | None, int, datetime | None]:
    with reading(app.engine) as session:
        return sync.last_run(session), covers.count_jobs(session), covers.waits_until(session)


def _draw_progress(
    app: App,
    watched_run: int | None,
    run: SyncRun | None,
    waiting: int,
    waits_until: datetime | None,
) -> None:
    if watched_run and run and run.state != JobState.RUNNING and not opened.current():
        say(_("The sync is done.") if run.state == JobState.SUCCEEDED else _("The sync failed."))
        st.rerun()
    if run is None:
        st.caption(_("No sync yet. It brings your offers in; nothing changes on Hotmart."))
    elif run.state == JobState.RUNNING:
        _draw_running(run)
    else:
        _draw_last(run)
    if waiting:
        st.caption(
            plain(
                plural(
                    "{count} cover is being made.", "{count} covers are being made.", waiting
                ).format(count=waiting)
            )
        )
        if busy := formats.busy(waits_until):
            st.caption(plain(busy))
    _draw_connections(app)


def _draw_running(run: SyncRun) -> None:
    step = {
        "products": _("Reading products"),
        "offers": _("Reading prices"),
        "sales": _("Reading sales"),
    }.get(run.step or "", _("Connecting"))
    if run.step_total:
        text = _("{step}: {done} of {total}").format(
            step=step, done=run.step_done, total=run.step_total
        )
        st.progress(min(1.0, run.step_done / run.step_total), plain(text))
    else:
        text = _("{step}: {done}").format(step=step, done=run.step_done) if run.step_done else step
        st.progress(0.0, plain(text))

    if left := formats.seconds_until(run.waits_until):
        st.caption(plain(_("Hotmart is busy; trying again in {seconds} s").format(seconds=left)))


def _draw_last(run: SyncRun) -> None:
    when = ago(run.finished_at or run.started_at)
    if run.state == JobState.FAILED:
        st.error(plain(_("The sync failed {when}. {why}").format(when=when, why=run.error)))
        return
    counts = [
        text.format(count=count)
        for count, text in (
            (run.created, _("{count} new")),
            (run.updated, _("{count} changed")),
            (run.unchanged, _("{count} unchanged")),
            (run.archived, _("{count} no longer listed")),
            (run.covers_queued, _("{count} covers ordered")),
        )
        if count
    ]
    seen = plural("{count} offer seen", "{count} offers seen", run.seen).format(count=run.seen)
    st.caption(
        plain(_("Last sync {when}: {counts}.").format(when=when, counts=", ".join([seen, *counts])))
    )


def _draw_connections(app: App) -> None:
    settings = app.settings
    now = datetime.now(UTC)
    with reading(app.engine) as session:
        spending = ledger.spending_since(session, ledger.month_start(now))
    offers = _("Hotmart") if settings.hotmart_is_connected else _("sample catalogue")
    painter = settings.image_model if settings.images_are_connected else _("built in, free")
    lines = [
        _("Offers: {source}").format(source=offers),
        _("Covers: {painter}").format(painter=painter),
    ]
    if settings.monthly_budget_usd is not None:
        lines.append(
            _("Spent this month: {spent} of {budget}").format(
                spent=dollars(spending.total), budget=dollars(settings.monthly_budget_usd)
            )
        )
    elif settings.images_are_connected or spending.total:
        lines.append(_("Spent this month: {spent}").format(spent=dollars(spending.total)))
    if spending.unknown:
        lines.append(_("of which maybe billed: {amount}").format(amount=dollars(spending.unknown)))
    st.caption(plain("\n".join(lines)))
