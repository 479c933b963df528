"""The form that orders a cover: the words, the price, the button."""

import streamlit as st

from core import covers
from core.app import App
from core.language import _
from core.models import Product
from core.prompts import LONGEST_PROMPT
from pages.components import wiring
from pages.components.feedback import say, show_errors
from pages.components.formats import dollars, plain


def draw(app: App, product: Product) -> bool:
    """Draw the form; return whether a cover was ordered just now."""
    is_paid = app.settings.images_are_connected
    key = f"prompt-{product.id}"
    if is_paid:
        prompt = st.text_area(
            _("Prompt"),
            value=covers.built_prompt(product),
            height=240,
            key=key,
            max_chars=LONGEST_PROMPT,
            help=_("What the picture should show. Change it as you like; it is sent as it stands."),
        )
    else:
        prompt = st.text_area(
            _("Words on the cover"),
            placeholder=product.name,
            height=100,
            key=key,
            help=_("Left empty, the cover shows the offer's name. Each new cover looks different."),
        )
    st.caption(plain(_price(app, prompt)))
    if not st.button(_("Generate"), type="primary", key=f"generate-{product.id}"):
        return False
    with show_errors():
        if is_paid and not prompt.strip():
            covers.check_prompt(prompt)
        app.jobs.order_cover(product.id or 0, prompt=prompt, by=wiring.current_actor())
        say(_("The cover is being made. You can go on working."))
        return True
    return False


def _price(app: App, prompt: str) -> str:
    if not app.settings.images_are_connected:
        return _("Free: Capista sets the cover itself.")
    estimate = covers.estimate(app.settings, prompt)
    name = app.settings.image_model
    if estimate is None:
        return _("Made by {model}. Its price is not known here.").format(model=name)
    if estimate.is_range:
        return _("Costs {low} to {high} (estimate), made by {model}.").format(
            low=dollars(estimate.low), high=dollars(estimate.high), model=name
        )
    return _("Costs about {price}, made by {model}.").format(
        price=dollars(estimate.high), model=name
    )
