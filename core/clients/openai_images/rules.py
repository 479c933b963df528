"""What OpenAI takes, checked before anything is asked: key, address, model, size, quality.

Pure functions; each raises a ``SettingsError`` that names the setting and what it should be.
Rules: https://developers.openai.com/api/docs/guides/image-generation (sizes and qualities) and
https://developers.openai.com/api/docs/deprecations (which models end).
"""

import re
from urllib.parse import urlsplit

from core.errors import SettingsError
from core.language import _
from core.prices import family

DEFAULT_MODEL = "gpt-image-2.5-flare"

_GONE = {"dall-e-2", "dall-e-3", "gpt-image-1"}
_ENDING = {"gpt-image-1.5": "2026-12-01", "gpt-image-1-mini": "2026-12-01"}

_FIXED_SIZES = ("1024x1024", "1024x1536", "1536x1024")
_LONGEST_EDGE = 3840
_MOST_PIXELS = 8_294_400
_FEWEST_PIXELS = 655_360

_QUALITIES = ("low", "medium", "high", "auto")
_MORE_QUALITIES = ("low", "medium", "high", "xhigh", "max", "auto")
_DALL_E_3_QUALITIES = ("standard", "hd")


def check_key(key: str) -> str:
    """Return the key without the blanks and line ends that copying brings along.

    :raises SettingsError: if it is empty, or could not be sent as a header
    """
    key = key.strip()
    if not key:
        raise SettingsError(
            _("OPENAI_API_KEY is empty. Set it to your key, or remove it for built-in covers.")
        )
    if not all("!" <= character <= "~" for character in key):
        raise SettingsError(
            _(
                "OPENAI_API_KEY holds a blank or a character that no key has. Copy the key again"
                " and set it alone, without quotes or words around it."
            )
        )
    return key


def check_base_url(url: str | None) -> str | None:
    """Return the server's address without a slash at its end, or None for OpenAI's own.

    :raises SettingsError: if it can't be an address that ``/images/generations`` is added to
    """
    url = (url or "").strip().rstrip("/")
    if not url:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(
            _(
                "OPENAI_BASE_URL is not a web address. Write it in full, as in"
                " http://localhost:8080/v1."
            )
        )
    if re.search(r"/images(/\w+)?$", parts.path):
        raise SettingsError(
            _(
                "OPENAI_BASE_URL goes too far: leave out /images and what follows it. It usually"
                " ends in /v1."
            )
        )
    if parts.query or parts.fragment:
        raise SettingsError(
            _("OPENAI_BASE_URL must not hold a ? or a #. Leave out that sign and what follows it.")
        )
    if is_openai(url) and parts.path in ("", "/"):
        raise SettingsError(_("OPENAI_BASE_URL lacks its end: write https://api.openai.com/v1."))
    return url


def is_openai(base_url: str | None) -> bool:
    """Whether the address is OpenAI's own, in any of its regions."""
    if not base_url:
        return True
    host = (urlsplit(base_url).hostname or "").lower()
    return host == "api.openai.com" or host.endswith(".api.openai.com")


def speaks_openai(model: str, base_url: str | None) -> bool:
    """Whether to speak OpenAI's dialect of the API.

    OpenAI's model names are passed on to OpenAI or Azure by whatever proxy takes them.
    """
    return is_openai(base_url) or _bare(model).startswith(("gpt-image", "chatgpt-image"))


def effective_model(model: str, base_url: str | None) -> tuple[str, str | None]:
    """Return the model to ask for, and a notice when it is not, or not for long, the one wanted."""
    model = model.strip()
    if not model:
        return DEFAULT_MODEL, None
    if not is_openai(base_url):
        return model, None
    if model in _GONE or family(model) in _GONE:
        return DEFAULT_MODEL, _(
            "OpenAI has shut {model} down; pictures are made with {default} instead. Set"
            " IMAGE_MODEL to {default} to end this notice."
        ).format(model=model, default=DEFAULT_MODEL)
    end = _ENDING.get(family(model) or "")
    if end:
        return model, _(
            "OpenAI shuts {model} down on {date}. Set IMAGE_MODEL to {default} before that day."
        ).format(model=model, date=end, default=DEFAULT_MODEL)
    return model, None


def check_size(model: str, size: str) -> str:
    """Return the size as it is sent, as in ``1024x1024``.

    Only OpenAI's models have rules here; what another model takes, its server knows.

    :raises SettingsError: if the model can't paint it
    """
    size = re.sub(r"\s", "", size.lower().replace("×", "x"))
    if size == "auto":
        return size
    sides = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", size)
    if not sides:
        raise SettingsError(
            _("IMAGE_SIZE can't be {size}. Write width x height, as in 1024x1024.").format(
                size=repr(size[:40])
            )
        )
    kind = family(_bare(model))
    if kind in ("gpt-image-1", "gpt-image-1.5", "gpt-image-1-mini"):
        if size not in _FIXED_SIZES:
            raise SettingsError(
                _("IMAGE_SIZE {size} is none that {model} paints. Choose one of {sizes}.").format(
                    size=size, model=model, sizes=", ".join(_FIXED_SIZES)
                )
            )
    elif kind is not None:
        _check_free_size(int(sides[1]), int(sides[2]))
    return size


def _check_free_size(width: int, height: int) -> None:
    """Hold a size against the rules of gpt-image-2 and its successors."""
    size = f"{width}x{height}"
    if max(width, height) > _LONGEST_EDGE:
        problem = _("no side may be longer than {edge}").format(edge=_LONGEST_EDGE)
    elif max(width, height) > 3 * min(width, height):
        problem = _("one side may be three times as long as the other at most")
    elif width * height < _FEWEST_PIXELS:
        problem = _("it is too small; the smallest square is 816x816")
    elif width * height > _MOST_PIXELS:
        problem = _("it is too large; the largest square is 2880x2880")
    elif width % 16 or height % 16:
        nearby = f"{-(-width // 16) * 16}x{-(-height // 16) * 16}"
        problem = _("both sides must be multiples of 16; {nearby} is close").format(nearby=nearby)
    else:
        return
    sentence = _("IMAGE_SIZE can't be {size}: {problem}.")
    raise SettingsError(sentence.format(size=size, problem=problem))


def check_quality(model: str, quality: str) -> str:
    """Return the quality as it is sent.

    :raises SettingsError: if the model knows no such word
    """
    quality = quality.strip().lower()
    kind = family(_bare(model))
    if kind in ("gpt-image-2.5", "gpt-image-2.6"):
        allowed: tuple[str, ...] = _MORE_QUALITIES
    elif kind is not None:
        allowed = _QUALITIES
    else:
        allowed = (*_MORE_QUALITIES, *_DALL_E_3_QUALITIES)
    if quality not in allowed:
        raise SettingsError(
            _("IMAGE_QUALITY can't be {quality} for {model}. Choose one of {allowed}.").format(
                quality=repr(quality[:40]), model=model, allowed=", ".join(allowed)
            )
        )
    return quality


def size_elsewhere(model: str, size: str) -> str | None:
    """Return the size to ask another server for; None leaves the choice to it.

    Imitations of DALL-E know its sizes only, so the one of the same shape is taken.
    """
    if size == "auto":
        return None
    width, height = (int(side) for side in size.split("x"))
    if _bare(model) == "dall-e-3":
        if width == height:
            return "1024x1024"
        return "1792x1024" if width > height else "1024x1792"
    if _bare(model) == "dall-e-2":
        return size if size in ("256x256", "512x512", "1024x1024") else "1024x1024"
    return size


def quality_elsewhere(model: str, quality: str) -> str | None:
    """Return the quality to ask another server for; None where the word would mean nothing."""
    if _bare(model) != "dall-e-3":
        return None
    return "hd" if quality in ("hd", "high", "xhigh", "max") else "standard"


def _bare(model: str) -> str:
    """Return a model's name without the provider that proxies put before it."""
    return model.rsplit("/", 1)[-1]
