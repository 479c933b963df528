"""Reads an account's whole catalogue from Hotmart, or fails.

Half a list would look like offers that are gone, so it is never returned.
"""

import calendar
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, TypeVar

import requests

from core.clients.hotmart.answers import NothingThereError, TokenRefusedError, TooSlowError
from core.clients.hotmart.connection import TIMEOUT, Connection
from core.clients.hotmart.parsing import (
    RemoteOffer,
    RemoteProduct,
    RemoteSale,
    merge,
    parse_offers,
    parse_products,
    parse_sales,
)
from core.errors import Problem, ServiceError
from core.language import _

API_URL = "https://developers.hotmart.com"
AUTH_URL = "https://api-sec-vlc.hotmart.com"

PRODUCTS = "/products/api/v1/products"
HISTORY = "/payments/api/v1/sales/history"
ME = "/user/api/v1/me"

PAGE_SIZE = 500
AT_ONCE = 4
DAY = 86_400_000  # milliseconds

# Asked without a status, Hotmart gives APPROVED and COMPLETE only. These, too, show that one
# promotes the product; any other status is a sale that never came about.
OTHER_STATUSES = (
    "REFUNDED",
    "PARTIALLY_REFUNDED",
    "CHARGEBACK",
    "PROTESTED",
    "WAITING_PAYMENT",
    "PRINTED_BILLET",
    "OVERDUE",
    "PRE_ORDER",
)

Report = Callable[[str, int, int | None], None]
_T = TypeVar("_T")
_R = TypeVar("_R")


class HotmartClient:
    """Hotmart, as one account sees it."""

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        basic: str | None = None,
        api_url: str = API_URL,
        auth_url: str = AUTH_URL,
        months: int = 12,
        http: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self._months = months
        self._connection = Connection(
            client_id=client_id,
            client_secret=client_secret,
            basic=basic,
            api_url=api_url,
            auth_url=auth_url,
            http=http,
            at_once=AT_ONCE,
            sleep=sleep,
            timeout=timeout,
        )

    def check(self) -> str:
        """Return the name on the account; nothing if Hotmart answers but does not tell it.

        :raises ServiceError: if the account can't be used
        """
        try:
            me = self._connection.get(ME)
        except TokenRefusedError:
            me = {}
        except ServiceError as error:
            if error.problem not in (Problem.REQUEST, Problem.PERMISSION, Problem.WRONG_ANSWER):
                raise
            me = {}
        if isinstance(name := me.get("name"), str) and name:
            return name
        self._connection.get(HISTORY, {"max_results": 1})
        return ""

    def read_catalogue(self, *, now: datetime, report: Report) -> list[RemoteProduct]:
        """Return every product that the account created or promoted within its months.

        ``report`` hears the step (products, offers, sales), how much of it is done, and how
        much there is, where that is known. It is called in the caller's thread.

        :raises ServiceError: if any part of it can't be read
        """
        created = self._read_products(report)
        offers = _in_parallel(
            self._read_offers, created, lambda done: report("offers", done, len(created))
        )
        created = [
            replace(product, offers=its_offers)
            for product, its_offers in zip(created, offers, strict=True)
        ]
        questions = [
            (start, end, status)
            for start, end in month_by_month(now, self._months)
            for status in (None, *OTHER_STATUSES)
        ]
        sales = _in_parallel(
            lambda question: self._read_sales(*question),
            questions,
            lambda done: report("sales", done, len(questions)),
        )
        return merge(created, [sale for some in sales for sale in some])

    def _read_products(self, report: Report) -> list[RemoteProduct]:
        report("products", 0, None)
        products: list[RemoteProduct] = []
        for page in self._pages(PRODUCTS, {}, parse_products):
            products += page
            report("products", len(products), None)
        return products

    def _read_offers(self, product: RemoteProduct) -> tuple[RemoteOffer, ...]:
        if product.ucode is None:  # asked with the id, Hotmart would answer with nothing
            return ()
        path = f"{PRODUCTS}/{product.ucode}/offers"
        try:
            return tuple(offer for page in self._pages(path, {}, parse_offers) for offer in page)
        except NothingThereError:
            return ()

    def _read_sales(self, start: int, end: int, status: str | None) -> list[RemoteSale]:
        """Return the sales of a time; if that takes Hotmart too long, half by half."""
        query: dict[str, str | int] = {
            "commission_as": "AFFILIATE",
            "start_date": start,
            "end_date": end,
        }
        if status is not None:
            query["transaction_status"] = status
        can_halve = end - start >= DAY
        try:
            pages = self._pages(HISTORY, query, parse_sales, narrower=can_halve)
            return [sale for page in pages for sale in page]
        except TooSlowError:
            if not can_halve:
                raise
        middle = (start + end) // 2
        first = self._read_sales(start, middle, status)
        return first + self._read_sales(middle + 1, end, status)

    def _pages(
        self,
        path: str,
        query: dict[str, str | int],
        parse: Callable[[dict[str, Any]], tuple[list[_T], str | None]],
        *,
        narrower: bool = False,
    ) -> Iterator[list[_T]]:
        """Yield what is on each page of a list, to its end.

        Pages: https://developers.hotmart.com/docs/en/start/pagination/
        """
        query = {"max_results": PAGE_SIZE, **query}
        seen: set[str] = set()
        while True:
            body = self._connection.get(path, query, narrower=narrower)
            found, token = parse(body)
            if seen and not body:
                raise _broken_list()  # a page was promised; an empty body is not its end
            yield found
            if token is None or not body.get("items"):
                return
            if token in seen:
                raise _broken_list()
            seen.add(token)
            query["page_token"] = token


def month_by_month(now: datetime, months: int) -> list[tuple[int, int]]:
    """Return first and last millisecond of each month up to ``now``, the oldest first."""
    edges = [_milliseconds(_months_before(now, back)) for back in range(months, -1, -1)]
    edges[-1] += 1  # a sale of this very millisecond belongs to it
    return [(start, next_start - 1) for start, next_start in pairwise(edges)]


def _months_before(moment: datetime, months: int) -> datetime:
    moment = moment.astimezone(UTC)
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _broken_list() -> ServiceError:
    return ServiceError(
        _(
            "Hotmart's list did not come to an end as it should, so it may be incomplete. "
            "Nothing was changed; try again in a few minutes."
        ),
        problem=Problem.WRONG_ANSWER,
        permanent=True,
    )


def _in_parallel(
    work: Callable[[_T], _R], things: Iterable[_T], report: Callable[[int], None]
) -> list[_R]:
    """Return what ``work`` makes of each thing, in order. The first error ends it all."""
    report(0)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="hotmart") as pool:
        # Each with its own copy of the context, which holds the language of the errors.
        futures = [pool.submit(copy_context().run, work, thing) for thing in things]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                report(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]
