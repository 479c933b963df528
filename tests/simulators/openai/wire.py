"""What goes over the wire: requests, answers, and OpenAI's envelope for errors."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class Request:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Answer:
    """What goes back: usually JSON, else the raw ``content``."""

    status: int = 200
    json: Any = None
    content: bytes | None = None
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        return json.dumps(self.json).encode() if self.content is None else self.content


class RefusedError(Exception):
    """Ends a request with an error answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def error(
    status: int,
    message: str,
    code: str | None = None,
    type: str | None = "invalid_request_error",
    param: str | None = None,
    headers: dict[str, str] | None = None,
    **extra: Any,
) -> Answer:
    """An error in OpenAI's envelope."""
    body = {"message": message, "type": type, "param": param, "code": code, **extra}
    return Answer(status, {"error": body}, headers=headers or {})


@dataclass
class Broken:
    """Bytes after which the connection is cut; ``manner`` says how."""

    content: bytes
    manner: Literal["closed", "reset", "drip"] = "closed"


def page(status: int, text: str) -> Answer:
    html = f"<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>"
    return Answer(status, content=html.encode(), media_type="text/html")
