"""OpenAI's Images API, and the servers that imitate it.

The only importer of ``openai``: its errors and answers stop here. One order is one picture and at
most one bill; what may already have been billed is never asked for twice.
"""

from core.clients.openai_images.painter import OpenAIImagesPainter
from core.clients.openai_images.rules import (
    DEFAULT_MODEL,
    check_base_url,
    check_key,
    check_quality,
    check_size,
    effective_model,
    is_openai,
)

__all__ = [
    "DEFAULT_MODEL",
    "OpenAIImagesPainter",
    "check_base_url",
    "check_key",
    "check_quality",
    "check_size",
    "effective_model",
    "is_openai",
]
