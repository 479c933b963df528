"""The check of all pictures: its button, how far it is, what it found."""

import streamlit as st

from core import checks
from core.access import Actor, Role
from core.app import App
from core.database import reading
from core.language import _, plural
from core.models import JobState, PictureCheck
from pages.components import guarded, wiring
from pages.components.feedback import show_errors
from pages.components.formats import ago, person, plain

_WATCH_S = 1.0


def draw(app: App, actor: Actor) -> None:
    """Draw the section, for admins."""
    st.subheader(_("Pictures"))
    st.caption(
        _("Reads every picture of the history and compares it with what is known of it. Lost"
          " thumbnails are made again; nothing else is changed.")
    )  # fmt: skip
    if actor.may(Role.ADMIN) and st.button(
        _("Check all pictures"), key="check-pictures", icon=":material/fact_check:"
    ):
        with show_errors():
            app.jobs.start_check(by=wiring.current_actor())
    check = _read(app)
    is_watched = check is not None and check.state == JobState.RUNNING
    guarded.fragment(_draw_newest, run_every=_WATCH_S if is_watched else None)(app, is_watched)


def _read(app: App) -> PictureCheck | None:
    with reading(app.engine) as session:
        return checks.last_check(session)


def _draw_newest(app: App, is_watched: bool) -> None:
    check = _read(app)
    if check is None:
        st.text(_("Not checked from here yet."))
    elif check.state == JobState.RUNNING:
        _draw_running(check)
    elif is_watched:
        st.rerun()  # no more need to look every second
    elif check.state == JobState.FAILED:
        when = ago(check.finished_at or check.started_at)
        st.error(plain(_("The check failed {when}. {why}").format(when=when, why=check.error)))
    else:
        _draw_result(app, check)


def _draw_running(check: PictureCheck) -> None:
    total = check.total or 0
    text = _("{done} of {total} pictures checked").format(done=check.done, total=total)
    st.progress(min(1.0, check.done / total) if total else 0.0, plain(text))


def _draw_result(app: App, check: PictureCheck) -> None:
    with reading(app.engine) as session:
        lost = checks.lost_pictures(session, check)
    counts = [
        plural("{count} picture checked", "{count} pictures checked", check.done).format(
            count=check.done
        ),
        _("{count} lost").format(count=check.lost),
        plural("{count} thumbnail made again", "{count} thumbnails made again", check.mended)
        .format(count=check.mended),
        plural("{count} file that nothing uses", "{count} files that nothing uses", check.orphans)
        .format(count=check.orphans),
    ]  # fmt: skip
    summary = _("{when}, asked for by {who}: {counts}.").format(
        when=ago(check.finished_at or check.started_at),
        who=person(check.asked_by),
        counts=", ".join(counts),
    )
    if not check.lost:
        st.success(plain(summary))
        return
    st.error(plain(summary + " " + _("Only a backup can bring back what is lost.")))
    lines = [
        f"{picture.product_name or _('a removed offer')}"
        f" ({_('offer {id}').format(id=picture.product_id)}): {picture.why}, {picture.file}"
        for picture in lost
    ]
    st.text("\n".join(lines))
