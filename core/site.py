"""How this server is reached, and whether it may be: the names it goes by, and who is let in.

A hostile web page can have the marketer's own browser call ``localhost``, under a name that it
points there (DNS rebinding). So the server answers only to names that are its own, and a request
that a web page makes must come from a page of the same server.
"""

import ipaddress
import re
from dataclasses import dataclass

from core.errors import SettingsError
from core.language import _
from core.settings import Settings

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Site:
    """One server as the world sees it."""

    address: str = "localhost"
    """Where it listens; empty means on every address of the machine."""
    names: frozenset[str] = frozenset()
    """Host names it goes by beside ``localhost``; ``*.example.com`` and ``*`` may be among them."""
    requires_sign_in: bool = False
    is_https: bool = False
    """Whether browsers reach it by https, so that cookies may be kept to that."""

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return _is_loopback(self.address.strip("[]").lower())

    def may_serve_at(self, address: str) -> bool:
        """Whether a connection may have come in at this address of the machine.

        Whoever starts the server can give it another address than the one that was checked.
        """
        return not self.is_local or _is_loopback(address) or not _is_ip(address)

    def answers_to(self, host: str | None) -> bool:
        """Whether ``host``, a Host header, is a name of this server.

        An address in digits can't be rebound, so it is one wherever others are served at all.
        """
        name = _host_name(host)
        if name is None:
            return False
        if _is_loopback(name) or (_is_ip(name) and not self.is_local):
            return True
        return any(_fits(name, known) for known in self.names)

    def takes_from(self, origin: str, host: str | None) -> bool:
        """Whether a page of ``origin`` may make requests to ``host``: to where it came from."""
        scheme, found, place = origin.lower().partition("://")
        return scheme in ("http", "https") and bool(found) and place == (host or "").lower()


LOOPBACK = Site()
"""A server that only its own machine can reach; also a process that serves nobody."""


def check_site(site: Site, settings: Settings) -> None:
    """Go on only if nobody gets in who should not.

    :raises SettingsError: if strangers could reach a server without sign-in, or nobody could
        get into one with it
    """
    if site.requires_sign_in and not settings.admins:
        raise SettingsError(
            _(
                "People have to sign in, but nobody could: set ADMIN_EMAILS to your e-mail address,"
                " then start again. You let others in on the Settings page."
            )
        )
    if not (site.is_local or site.requires_sign_in or settings.listen_without_sign_in):
        raise SettingsError(
            _(
                "Capista was asked to listen on {address}, where other machines can reach it, and"
                " nobody has to sign in. Turn sign-in on (see the README), leave the address at"
                " localhost, or, if everyone who can reach this machine may spend your money, set"
                " LISTEN_WITHOUT_SIGN_IN=true."
            ).format(address=site.address or _("every address"))
        )


def _host_name(host: str | None) -> str | None:
    match = _HOST.fullmatch(host or "")
    if match is None or int(match[2] or 0) > 65535:
        return None
    return match[1].strip("[]").lower().rstrip(".") or None


def _fits(name: str, known: str) -> bool:
    if known == "*":
        return True
    known = known.lower().rstrip(".")
    return known == name or (known.startswith("*.") and name.endswith(known[1:]))


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_ip(name) and ipaddress.ip_address(name).is_loopback)


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
