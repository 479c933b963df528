"""The parts of one process, put together from its settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Engine, make_url

from core.access import Actor, Role
from core.built_in_covers import BuiltInPainter
from core.clients.hotmart import HotmartClient
from core.clients.openai_images import OpenAIImagesPainter
from core.clients.sample_catalogue import SampleCatalogue
from core.database import migrate, open_engine
from core.errors import SettingsError, StartError
from core.jobs import DASHBOARD, Jobs
from core.language import _
from core.locks import held
from core.painting import Painter
from core.picture_store import FolderStore, open_store
from core.settings import Settings
from core.site import LOOPBACK, Site, check_site
from core.sync import Catalogue


@dataclass(frozen=True)
class App:
    """What pages, the API and the command line work with.

    ``notices`` are sentences about the settings that the marketer should know.
    """

    settings: Settings
    engine: Engine
    store: FolderStore
    jobs: Jobs
    site: Site
    painter: Painter
    catalogue: Catalogue
    notices: tuple[str, ...] = ()

    def check_hotmart(self, *, by: Actor) -> str:
        """Ask Hotmart whether the account can be used; return what it says. Changes nothing.

        :raises ForbiddenError: if ``by`` is no admin
        :raises SettingsError: if Hotmart is not connected
        :raises ServiceError: if the account can't be used
        """
        by.require(Role.ADMIN)
        if not isinstance(self.catalogue, HotmartClient):
            raise SettingsError(
                _(
                    "Hotmart is not connected. Put HOTMART_CLIENT_ID and HOTMART_CLIENT_SECRET into"
                    " the file .env and start Capista again."
                )
            )
        name = self.catalogue.check()
        return (
            _("Hotmart answers, and knows you as {name}.").format(name=name)
            if name
            else _("Hotmart answers, and the account can be used.")
        )

    def check_images(self, *, by: Actor) -> str:
        """Ask the image service whether the key can be used; return what it says. Costs nothing.

        :raises ForbiddenError: if ``by`` is no admin
        :raises SettingsError: if no image service is connected
        :raises ServiceError: if the service can't be used
        """
        by.require(Role.ADMIN)
        if not isinstance(self.painter, OpenAIImagesPainter):
            raise SettingsError(
                _(
                    "No image service is connected. Put OPENAI_API_KEY into the file .env and start"
                    " Capista again."
                )
            )
        model = self.painter.model
        return (
            _("The image service answers, and offers {model}.").format(model=model)
            if model in self.painter.check()
            else _(
                "The image service answers, but does not list {model}. Covers may fail: check"
                " IMAGE_MODEL."
            ).format(model=model)
        )


def create_app(settings: Settings, *, executor: str = DASHBOARD, site: Site = LOOPBACK) -> App:
    """Open everything and bring the database up to date; jobs don't run before their launch.

    ``executor`` says what kind of process this is, for its jobs; ``site`` how a server is reached.

    :raises SettingsError: if a setting can't be used
    :raises StartError: if the database or the picture store can't be used
    """
    site = replace(site, names=site.names | settings.hosts)
    check_site(site, settings)
    painter: Painter = BuiltInPainter()
    notices: tuple[str, ...] = ()
    if settings.openai_api_key:
        service = painter = OpenAIImagesPainter(
            api_key=settings.openai_api_key.get_secret_value(),
            base_url=settings.openai_base_url,
            model=settings.image_model,
            quality=settings.image_quality,
            size=settings.image_size,
        )
        # What is really asked for: prices are told of it, not of what was set.
        settings = settings.model_copy(
            update={
                "image_model": service.model,
                "image_quality": service.quality,
                "image_size": service.size,
            }
        )
        notices = (service.notice,) if service.notice else ()
    engine = open_engine(settings.database)
    migrate(engine)
    store = open_store(settings.pictures)
    catalogue = _catalogue(settings)
    jobs = Jobs(engine, store, painter, catalogue, settings, executor)
    return App(settings, engine, store, jobs, site, painter, catalogue, notices)


def check_there(settings: Settings) -> None:
    """Go on only if there is a Capista: ``create_app`` would make an empty one, and all be well.

    :raises StartError: if there is no database where the settings say
    """
    database = make_url(settings.database)
    if database.get_backend_name() == "sqlite" and not Path(database.database or "").is_file():
        raise StartError(
            _("There is no Capista at {database}. Check DATA_DIR and DATABASE_URL.").format(
                database=database.database
            )
        )


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Be the only server on this SQLite database while the block lasts.

    Two would carry out each other's jobs. Enter it before ``create_app``: a newer version must not
    migrate what an older one is working on.

    :raises StartError: if another one is there
    """
    database = make_url(settings.database)
    if database.get_backend_name() != "sqlite" or not database.database:
        yield
        return
    with held(Path(f"{database.database}.server")) as is_ours:
        if not is_ours:
            raise StartError(
                _(
                    "Another Capista is running on {database}. Use that one, or end it first."
                    " Several at once need PostgreSQL (DATABASE_URL)."
                ).format(database=database.database)
            )
        yield


def _catalogue(settings: Settings) -> Catalogue:
    if settings.hotmart_client_id is None or settings.hotmart_client_secret is None:
        return SampleCatalogue()
    basic = settings.hotmart_basic
    return HotmartClient(
        client_id=settings.hotmart_client_id.get_secret_value(),
        client_secret=settings.hotmart_client_secret.get_secret_value(),
        basic=basic.get_secret_value() if basic else None,
        api_url=settings.hotmart_api_url,
        auth_url=settings.hotmart_auth_url,
        months=settings.hotmart_sales_months,
    )
