"""Settings, read once from the environment and ``.env``.

A wrong value stops the start with a sentence that names it; nothing else reads the environment.
"""

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from croniter import croniter
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from core.errors import SettingsError
from core.language import _


def _all_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and value.strip().lower() == "all" else value


def _address() -> Any:
    return Field(default=None, repr=False)  # it may hold a password


class Settings(BaseSettings):
    """One process's settings. An empty variable counts as not set."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    data_dir: Path = Path("data")
    database_url: str | None = _address()
    jobs_database_url: str | None = _address()
    pictures_url: str | None = _address()

    hotmart_client_id: SecretStr | None = None
    hotmart_client_secret: SecretStr | None = None
    hotmart_basic: SecretStr | None = None
    hotmart_api_url: str = "https://developers.hotmart.com"
    hotmart_auth_url: str = "https://api-sec-vlc.hotmart.com"
    hotmart_hottok: SecretStr | None = None
    hotmart_sales_months: int = Field(default=12, ge=1, le=120)
    """How far back affiliate sales are read to find the products that one promotes."""

    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = _address()
    image_model: str = "gpt-image-2.5-flare"
    image_quality: str = "medium"
    image_size: str = "1024x1024"
    images_per_minute: int = Field(default=5, ge=0)
    """0 means no limit."""
    images_at_once: int = Field(default=4, ge=1, le=64)
    covers_per_sync: Annotated[int | None, BeforeValidator(_all_is_none)] = Field(
        default=None, ge=0
    )
    """None (written ``all``) means every new offer."""
    monthly_budget_usd: Decimal | None = Field(default=None, ge=0)
    sync_schedule: str | None = None

    admin_emails: str = ""
    """Who is always admin, where people sign in: addresses with commas between them."""
    allowed_hosts: str = ""
    """Names under which the server is reached beside its own: with commas between them."""
    listen_without_sign_in: bool = False
    """Whether other machines may be served although nobody signs in."""

    @property
    def admins(self) -> frozenset[str]:
        """The addresses of ``admin_emails``, in small letters."""
        return frozenset(filter(None, map(plain_address, self.admin_emails.split(","))))

    @property
    def hosts(self) -> frozenset[str]:
        """The names of ``allowed_hosts``."""
        return frozenset(filter(None, map(str.strip, self.allowed_hosts.split(","))))

    @property
    def database(self) -> str:
        """The URL of the database that holds offers, pictures' history and notes."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'dashboard.db'}"

    @property
    def jobs_database(self) -> str:
        """The URL of the database that holds the job queue."""
        if self.jobs_database_url:
            return self.jobs_database_url
        if self.database.startswith("postgresql"):
            return self.database
        return f"sqlite:///{self.data_dir.resolve() / 'jobs.db'}"

    @property
    def pictures(self) -> str:
        """The URL of the folder or bucket that holds picture files."""
        return self.pictures_url or (self.data_dir.resolve() / "pictures").as_uri()

    @property
    def hotmart_is_connected(self) -> bool:
        """Whether offers come from Hotmart rather than from the sample catalogue."""
        return bool(self.hotmart_client_id and self.hotmart_client_secret)

    @property
    def images_are_connected(self) -> bool:
        """Whether covers come from an image service rather than from our own typesetting."""
        return bool(self.openai_api_key)


_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


def plain_address(value: Any) -> str | None:
    """Return an e-mail address in small letters; None if it is none, or not of plain letters.

    The form is that of HTML, but for the star, which would look like a pattern:
    https://html.spec.whatwg.org/#valid-e-mail-address
    """
    if not isinstance(value, str) or len(value := value.strip(" ")) > 254:
        return None
    return value.lower() if _ADDRESS.fullmatch(value) else None


def read_settings(**given: Any) -> Settings:
    """Return the settings of this process; ``given`` values win over the environment.

    :raises SettingsError: naming each value that is wrong, and what it should be
    """
    try:
        settings = Settings(**given)
    except ValidationError as error:
        # The pydantic error itself quotes the values, secrets among them: it is not chained.
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in detail['loc']).upper()}: {detail['msg']}"
            for detail in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(
            _("A setting is wrong. {wrong}. Correct it in the environment or in .env.").format(
                wrong=wrong
            )
        ) from None
    _check_pairs(settings)
    _check_databases(settings)
    _check_hosts(settings)
    _check_schedule(settings)
    _check_admins(settings)
    _check_names(settings)
    return settings


def _check_pairs(settings: Settings) -> None:
    if bool(settings.hotmart_client_id) != bool(settings.hotmart_client_secret):
        raise SettingsError(
            _(
                "HOTMART_CLIENT_ID and HOTMART_CLIENT_SECRET belong together: set both to connect"
                " Hotmart, or neither to work with the sample catalogue."
            )
        )
    if settings.openai_base_url and not settings.openai_api_key:
        raise SettingsError(
            _(
                "OPENAI_BASE_URL is set but OPENAI_API_KEY is not. Set the key too (any word will"
                " do for a server that asks for none), or remove OPENAI_BASE_URL."
            )
        )


def _check_databases(settings: Settings) -> None:
    for name in ("database_url", "jobs_database_url"):
        url = getattr(settings, name)
        if url is not None and not _is_database(url):
            raise SettingsError(  # the address is not repeated: it may hold a password
                _(
                    "{name} is no address of a database that Capista can use. Write sqlite:/// and"
                    " the path of a file, or postgresql://user:password@host/name."
                ).format(name=name.upper())
            )


def _is_database(url: str) -> bool:
    try:
        return make_url(url).drivername in ("sqlite", "postgresql", "postgresql+psycopg")
    except (ArgumentError, ValueError):
        return False


def _check_hosts(settings: Settings) -> None:
    for name in ("hotmart_api_url", "hotmart_auth_url"):
        try:
            parts = urlsplit(getattr(settings, name))
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            is_address = False
        if not is_address:
            raise SettingsError(
                _("{name} must be a web address that starts with https://.").format(
                    name=name.upper()
                )
            )


def _check_schedule(settings: Settings) -> None:
    wanted = settings.sync_schedule
    if wanted and not croniter.is_valid(wanted, second_at_beginning=True):
        raise SettingsError(
            _(
                "SYNC_SCHEDULE can't be {wanted}. Write a cron line, for example 0 6 * * * for"
                " every day at six (UTC)."
            ).format(wanted=repr(wanted[:40]))
        )


def _check_names(settings: Settings) -> None:
    for written in settings.hosts:
        if not re.fullmatch(r"\*|(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", written):
            raise SettingsError(
                _(
                    "ALLOWED_HOSTS names {written}, which is no host name. Write names alone, with"
                    " commas between them, as in capista.example.com, *.example.org."
                ).format(written=repr(written[:80]))
            )


def _check_admins(settings: Settings) -> None:
    for written in filter(str.strip, settings.admin_emails.split(",")):
        if plain_address(written) is None:
            raise SettingsError(
                _(
                    "ADMIN_EMAILS names {written}, which is no e-mail address. Write addresses with"
                    " commas between them, as in ana@example.com, rui@example.com."
                ).format(written=repr(written.strip()[:80]))
            )
