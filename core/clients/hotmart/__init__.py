"""Hotmart's API, read for one account: what it created and what it promotes.

Hotmart serves creators: pictures, links and commission rates are not to be had, and a promoted
product shows itself only through its sales. https://developers.hotmart.com/docs/en/
"""

from core.clients.hotmart.client import API_URL, AUTH_URL, HotmartClient
from core.clients.hotmart.parsing import (
    RemoteOffer,
    RemoteProduct,
    RemoteSale,
    decode,
    merge,
    parse_offers,
    parse_products,
    parse_sales,
)

__all__ = [
    "API_URL",
    "AUTH_URL",
    "HotmartClient",
    "RemoteOffer",
    "RemoteProduct",
    "RemoteSale",
    "decode",
    "merge",
    "parse_offers",
    "parse_products",
    "parse_sales",
]
