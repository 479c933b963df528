"""What every request to the server must show and every answer carries, pages and files included."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.api import problems
from core.app import App
from core.language import _
from core.site import Site

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
_CLOSED = "/_stcore/metrics"
_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def page_policy(html: Iterable[str]) -> str:
    """Return the content policy under which pages run: no other host, no script but what we know.

    ``html`` are documents whose inline scripts may run. Styles may be inline: Streamlit's are.
    """
    scripts = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for text in html
        for script in _INLINE.findall(text)
    )
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' {scripts}".rstrip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


class Guard:
    """Stands before the whole server.

    ``app_source`` gives the App of the process, and with it the Site; ``policy`` is the content
    policy of answers that don't bring a stricter one.
    """

    def __init__(self, app: ASGIApp, app_source: Callable[[], App], policy: str) -> None:
        self._app = app
        self._app_source = app_source
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        site = self._app_source().site
        why = _refusal(scope, site)
        if scope["type"] == "websocket":
            if why:
                await send({"type": "websocket.close", "code": 1008, "reason": why})
            else:
                await self._app(scope, receive, send)
            return

        is_call = scope["path"].startswith("/api/")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _EVERYWHERE.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", _NOTHING if is_call else self._policy)
                if site.is_https:
                    message["headers"] = [_kept_to_https(*header) for header in headers.raw]
            await send(message)

        began = False

        async def send_and_note(message: Message) -> None:
            nonlocal began
            began = True
            await send_with_headers(message)

        answer: ASGIApp = self._app
        if why:
            answer = problems.answer(403, why) if is_call else PlainTextResponse(why, 403)
        elif scope["path"].endswith(_CLOSED):
            answer = Response(status_code=404)
        try:
            await answer(scope, receive, send_and_note)
        except Exception:
            if not began:  # outside of us the answer would come without our headers
                bug = PlainTextResponse(_("Something unexpected went wrong."), 500)
                await bug(scope, receive, send_with_headers)
            raise  # it is logged there


def _refusal(scope: Scope, site: Site) -> str | None:
    headers = Headers(scope=scope)
    host, origin = headers.get("host"), headers.get("origin")
    here = scope.get("server")
    if here and not site.may_serve_at(str(here[0])):
        return _("Capista was not told to listen here. Set STREAMLIT_SERVER_ADDRESS.")
    if not site.answers_to(host):
        return _(
            "This server does not go by that name. If it should, add the name to ALLOWED_HOSTS."
        )
    if origin is not None and not site.takes_from(origin, host):
        return _("Web pages of other servers may not call this one.")
    return None


def _kept_to_https(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    if name.lower() == b"set-cookie" and b"; secure" not in value.lower():
        value += b"; Secure"
    return name, value
