"""Widgets whose value is in the address, so that a view can be bookmarked, shared and gone back to.

Streamlit's own ``bind="query-params"`` writes the label of an option into the address; labels
are translated, so a shared link would mean nothing in another language. These write the value.
"""

from collections.abc import Callable, Mapping

import streamlit as st

ARRIVED = "arrived"
"""Whether this run is the first after a change of page; the frame says so."""
_CHOSEN = "chosen_by_hand"


def search_box(label: str, *, key: str, placeholder: str, on_change: Callable[[], None]) -> str:
    """Draw a search field; return what is searched for."""
    return _remembered(
        key,
        "",
        lambda _value: True,
        lambda widget: st.text_input(
            label,
            key=widget,
            type="search",
            placeholder=placeholder,
            on_change=_chosen,
            args=(on_change,),
            icon=":material/search:",
        ),
    )


def choice(
    label: str, options: Mapping[str, str], *, key: str, on_change: Callable[[], None]
) -> str:
    """Draw a choice between values with their labels; the first is the default."""
    return _remembered(
        key,
        next(iter(options)),
        lambda value: value in options,
        lambda widget: st.selectbox(
            label,
            list(options),
            format_func=options.__getitem__,
            key=widget,
            on_change=_chosen,
            args=(on_change,),
        ),
    )


def page_number(pages: int, *, key: str = "page") -> int:
    """Draw the numbers of a list's pages, if there are several; return the chosen one."""
    if pages == 1:
        st.query_params.pop(key, None)
        return 1
    return int(
        _remembered(
            key,
            "1",
            lambda value: (number := as_number(value)) is not None and 1 <= number <= pages,
            lambda widget: str(st.pagination(pages, key=widget, on_change=_chosen)),
            to_widget=int,
        )
    )


def as_number(value: str) -> int | None:
    """Return the number in an address, or nothing when there is none, or no sensible one."""
    return int(value) if value.isdecimal() and len(value) <= 9 else None


def first_page(key: str = "page") -> None:
    """Go back to the first page, because the list is another one now."""
    st.query_params.pop(key, None)
    st.session_state[f"{key}_widget"] = 1


def clear(*keys: str) -> None:
    """Forget these values; their widgets show the defaults again."""
    for key in keys:
        st.query_params.pop(key, None)


def forget_choice() -> None:
    """Let the address win again. The frame calls it at the end of each run."""
    st.session_state.pop(_CHOSEN, None)


def _chosen(then: Callable[[], None] | None = None) -> None:
    # The address that comes with a quick second change may be the one before the first.
    st.session_state[_CHOSEN] = True
    if then:
        then()


def _remembered(
    key: str,
    default: str,
    is_valid: Callable[[str], bool],
    draw: Callable[[str], str],
    to_widget: Callable[[str], object] = str,
) -> str:
    widget, seen = f"{key}_widget", f"{key}_seen"
    fallback = default
    if st.session_state.get(ARRIVED):  # back from another page: the list is as it was left
        fallback = st.session_state.get(seen, default)
    in_url = st.query_params.get(key, fallback)
    if not is_valid(in_url):
        in_url = default
    # The address changed by itself (a link, a bookmark, Back): it wins over the widget.
    went_elsewhere = st.session_state.get(seen) != in_url and _CHOSEN not in st.session_state
    if widget not in st.session_state or went_elsewhere:
        st.session_state[widget] = to_widget(in_url)
    value = draw(widget)
    st.session_state[seen] = value
    if value == default:
        st.query_params.pop(key, None)
    elif st.query_params.get(key) != value:
        st.query_params[key] = value
    return value
