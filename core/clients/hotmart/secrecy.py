"""Keeps credentials out of errors and logs.

Hotmart wants the client's secret in the address of the token request, and addresses end up in
the texts of network errors and in urllib3's log.
"""

import logging
import re
from urllib.parse import quote, quote_plus

_FIELD = re.compile(r"(?i)\b(client_id|client_secret|access_token)=[^&\s\"'<>()]*")
_CHATTY_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry")


class ScrubbedError(Exception):
    """What went wrong, for the log, as the cause of an error: no secrets inside."""


def hide(text: str, *secrets: str) -> str:
    """Return ``text`` without the credentials in addresses, and without ``secrets`` anywhere."""
    text = _FIELD.sub(r"\1=***", text)
    for secret in secrets:
        for spelling in {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}:
            if spelling:
                text = text.replace(spelling, "***")
    return text


def guard_logs() -> None:
    """Let no credential through to urllib3's log. Doing it twice changes nothing."""
    for name in _CHATTY_LOGGERS:
        logging.getLogger(name).addFilter(_scrub_record)


def _scrub_record(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    scrubbed = hide(message)
    if scrubbed != message:
        record.msg, record.args = scrubbed, ()
    return True
