"""A server that plays OpenAI's Images API, bills and failures included.

Real HTTP on loopback, so that timeouts, broken connections and retries are real too::

    with OpenAISimulator() as openai:
        painter = OpenAIImagesPainter(openai.key, openai.url, ...)
        openai.fail("rate", times=2)        # or [[fault:rate]] in a prompt: that prompt fails
        openai.give(b"GIF89a…")             # the next picture is these bytes
        assert openai.bill == 1             # pictures that a real account would have paid for

In a process of its own: ``python -m tests.simulators.openai --port 8321 --latency 2``. There
``POST /_control`` takes ``{"fail": "rate", "times": 2}``, ``{"reset": true}`` and any of the
constructor's switches such as ``{"latency": 0.5}``; ``GET /_control`` gives the counts.

Answers and messages follow https://developers.openai.com/api/docs/api-reference/images and what has
been seen on the wire. Faults and what they do are in ``FAULTS``.
"""

from tests.simulators.openai.faults import FAULTS
from tests.simulators.openai.server import KEY, OpenAISimulator

__all__ = ["FAULTS", "KEY", "OpenAISimulator"]
