"""Which offer this is about. Its name comes from outside, so it is text and not Markdown."""

import streamlit as st

from core.models import Product
from pages.components.formats import money


def draw(product: Product) -> None:
    """Draw the name (the style sheet makes it a heading), the producer and the price."""
    with st.container(key=f"offer-name-{product.id}", gap="xxsmall"):
        st.text(product.name)
    facts = (product.producer_name, money(product.price, product.currency))
    if any(facts):
        st.text(" · ".join(fact for fact in facts if fact))
