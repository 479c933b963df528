"""The name of an offer, as a heading. It comes from outside, so it is text and not Markdown."""

import streamlit as st

from core.models import Product


def draw(product: Product) -> None:
    """Draw the name; the style sheet makes it a heading."""
    with st.container(key=f"offer-name-{product.id}"):
        st.text(product.name)
