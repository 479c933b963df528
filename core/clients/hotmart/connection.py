"""One account's way to Hotmart: access tokens, the rate limit, and patience.

A request is asked again while that may help, and no error or log shows a credential.
"""

import base64
import copy
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import requests
import urllib3
from urllib3.connectionpool import ConnectionPool

from core.clients.hotmart.answers import (
    NothingThereError,
    TokenRefusedError,
    TooSlowError,
    bad_credentials,
    network_trouble,
    not_hotmart,
    pause_after,
    read_answer,
    wait_asked_for,
)
from core.clients.hotmart.secrecy import ScrubbedError, guard_logs, hide
from core.clients.patience import patiently, wait
from core.errors import Problem, ServiceError

TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two pieces of an answer
LONGEST_PAUSE = 60.0
LONGEST_ANSWER = 120.0


class Connection:
    """Sends requests for one account; may be used by several threads."""

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        basic: str | None,
        api_url: str,
        auth_url: str,
        http: requests.Session | None,
        at_once: int,
        sleep: Callable[[float], None],
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        guard_logs()
        self._client_id, self._client_secret = client_id.strip(), client_secret.strip()
        self._basic = basic_value(self._client_id, self._client_secret, basic)
        self._api_url, self._auth_url = api_url.rstrip("/"), auth_url.rstrip("/")
        self._http = http or _session(at_once)
        self._sleep = sleep
        self._timeout = timeout
        self._token = ""
        self._renew_at = 0.0
        self._token_lock = threading.Lock()
        self._quiet_until = 0.0
        self._environment: dict[str, Mapping[str, Any]] = {}

    def get(
        self, path: str, query: Mapping[str, str | int] | None = None, *, narrower: bool = False
    ) -> dict[str, Any]:
        """Return Hotmart's answer.

        ``narrower`` says that the caller can ask for less, so a question that takes Hotmart too
        long is not repeated.

        :raises ServiceError: when Hotmart gave none
        """
        url = f"{self._api_url}{path}?{urlencode(query)}" if query else f"{self._api_url}{path}"
        token = self._current_token()
        try:
            return self._patiently(url, token, narrower)
        except TokenRefusedError:
            token = self._current_token(instead_of=token)
        return self._patiently(url, token, narrower)

    def _patiently(self, url: str, token: str, narrower: bool) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            try:
                return self._ask(_prepared("GET", url, f"Bearer {token}"))
            except TooSlowError as error:
                error.permanent = narrower
                raise

        return patiently(ask, sleep=self._sleep)

    def _current_token(self, instead_of: str | None = None) -> str:
        """Return an access token that is not near its end, nor the refused one."""
        with self._token_lock:
            used_up = not self._token or time.monotonic() >= self._renew_at
            if used_up or self._token == instead_of:
                self._token, lifetime = patiently(self._ask_for_token, sleep=self._sleep)
                self._renew_at = time.monotonic() + lifetime * 0.8
            return self._token

    def _ask_for_token(self) -> tuple[str, float]:
        """Return a new token and its lifetime in seconds, endless if Hotmart does not say.

        The form is https://developers.hotmart.com/docs/en/start/app-auth/
        """
        if not self._basic.isascii():
            raise bad_credentials()
        query = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        url = f"{self._auth_url}/security/oauth/token?{urlencode(query)}"
        try:
            fields = self._ask(_prepared("POST", url, f"Basic {self._basic}"))
        except NothingThereError:
            raise
        except ServiceError as error:
            if error.problem not in (Problem.KEY, Problem.PERMISSION, Problem.REQUEST):
                raise
            raise bad_credentials() from error.__cause__
        token = fields.get("access_token")
        if not (isinstance(token, str) and token and token.isascii() and token.isprintable()):
            raise not_hotmart() from ScrubbedError(f"A token answer with {sorted(fields)}")
        return token, _lifetime(fields.get("expires_in"))

    def _ask(self, request: requests.PreparedRequest) -> dict[str, Any]:
        left = self._quiet_until - time.monotonic()
        if left > 0:
            wait(left, self._sleep)
        response, body = self._send(request)
        pause = pause_after(response.headers)
        if response.status_code == 429:
            pause = max(pause, wait_asked_for(response.headers) or 0.0)
        if pause:
            # For every thread: the limit is the account's, not the request's.
            quiet_until = time.monotonic() + min(pause, LONGEST_PAUSE)
            self._quiet_until = max(self._quiet_until, quiet_until)
        return read_answer(response.status_code, response.headers, body, secrets=self._secrets)

    def _send(self, request: requests.PreparedRequest) -> tuple[requests.Response, bytes]:
        try:
            response = self._http.send(
                request,
                timeout=self._timeout,
                allow_redirects=False,
                **self._environment_for(request.url or ""),
            )
            return response, _body(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            trouble = network_trouble(error)
            cause = ScrubbedError(hide(f"{type(error).__name__}: {error}", *self._secrets))
        # Outside of the except block, so that the error does not lead back to requests' own,
        # which names the address with the secret in it.
        raise trouble from cause

    def _environment_for(self, url: str) -> Mapping[str, Any]:
        """Return proxies and certificates of the environment, looked up once for each host."""
        base = self._api_url if url.startswith(self._api_url) else self._auth_url
        if base not in self._environment:
            self._environment[base] = self._http.merge_environment_settings(
                base, {}, True, None, None
            )
        return self._environment[base]

    @property
    def _secrets(self) -> tuple[str, ...]:
        return (self._client_secret, self._basic, self._token)


def basic_value(client_id: str, client_secret: str, given: str | None) -> str:
    """Return what follows ``Basic`` in the header: as given, with or without the word, or made."""
    words = (given or "").split()
    if words and words[-1].lower() != "basic":
        return words[-1]
    return base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()


def _body(response: requests.Response) -> bytes:
    """Return the body if it comes to its end in time; a dripping one would take for ever."""
    ends_at = time.monotonic() + LONGEST_ANSWER
    body = bytearray()
    try:
        while piece := response.raw.read1(2**16, decode_content=True):
            body += piece
            if time.monotonic() > ends_at:
                raise requests.ReadTimeout("the answer does not come to its end")
    except BaseException:
        response.close()
        raise
    response.raw.release_conn()
    return bytes(body)


def _lifetime(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.inf
    return seconds if seconds > 0 else math.inf


class _PoolKeeper(requests.adapters.HTTPAdapter):
    """Finds the pool of a host once; ``requests`` takes each address apart to find it again."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pools: dict[str, ConnectionPool] = {}

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> ConnectionPool:
        host = "/".join((request.url or "").split("/", 3)[:3])
        if host not in self._pools:
            self._pools[host] = super().get_connection_with_tls_context(request, *args, **kwargs)
        return self._pools[host]


def _session(at_once: int) -> requests.Session:
    session = requests.Session()
    adapter = _PoolKeeper(pool_connections=2, pool_maxsize=at_once)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


_blank = requests.Request(
    "GET",
    "https://localhost/",
    headers={
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "Content-Type": "application/json",
        "User-Agent": "Capista",
    },
).prepare()


def _prepared(method: str, url: str, authorization: str) -> requests.PreparedRequest:
    """Return a request; much cheaper than ``Request(...).prepare()``, of which we need little."""
    request = copy.copy(_blank)
    request.method, request.url = method, url
    request.headers = _blank.headers.copy()
    request.headers["Authorization"] = authorization
    if method == "POST":
        request.headers["Content-Length"] = "0"
    return request
