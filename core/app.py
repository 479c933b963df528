"""The parts of one process, put together from its settings."""

from dataclasses import dataclass

from sqlalchemy import Engine

from core.built_in_covers import BuiltInPainter
from core.clients.hotmart import HotmartClient
from core.clients.openai_images import OpenAIImagesPainter
from core.clients.sample_catalogue import SampleCatalogue
from core.database import migrate, open_engine
from core.jobs import DASHBOARD, Jobs
from core.painting import Painter
from core.picture_store import FolderStore, open_store
from core.settings import Settings
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
    notices: tuple[str, ...] = ()


def create_app(settings: Settings, *, executor: str = DASHBOARD) -> App:
    """Open everything and bring the database up to date; jobs don't run before their launch.

    ``executor`` says what kind of process this is, for its jobs.

    :raises SettingsError: if a setting can't be used
    :raises StartError: if the database or the picture store can't be used
    """
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
    jobs = Jobs(engine, store, painter, _catalogue(settings), settings, executor)
    return App(settings, engine, store, jobs, notices)


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
