import pytest

from core.built_in_covers import BuiltInPainter
from core.clients.hotmart import HotmartClient
from core.clients.sample_catalogue import SampleCatalogue
from core.database import migrate
from core.errors import SettingsError, StartError


class TestCreateApp:
    def test_with_no_settings_needs_no_service(self, make_app, tmp_path):
        app = make_app()

        assert isinstance(app.jobs.painter, BuiltInPainter)
        assert isinstance(app.jobs.catalogue, SampleCatalogue)
        assert app.notices == ()
        assert (tmp_path / "dashboard.db").is_file()
        assert (tmp_path / "pictures").is_dir()

    def test_starts_nothing_by_itself(self, make_app, tmp_path):
        make_app(sync_schedule="* * * * *")

        assert not (tmp_path / "jobs.db").exists()

    def test_reads_from_hotmart_with_its_credentials(self, make_app, to_hotmart, hotmart):
        app = make_app(**to_hotmart)

        assert isinstance(app.jobs.catalogue, HotmartClient)
        assert hotmart.requests == []

    def test_keeps_dall_e_3_for_a_server_that_is_not_openai(self, make_app, openai, to_openai):
        openai.imitates = "other"

        app = make_app(**to_openai, image_model="dall-e-3")

        assert app.jobs.painter.model == app.settings.image_model == "dall-e-3"
        assert app.notices == ()
        assert openai.requests == []

    def test_replaces_dall_e_3_at_openai_and_says_so(self, make_app):
        app = make_app(openai_api_key="sk-test", image_model="dall-e-3")

        assert app.jobs.painter.model == app.settings.image_model == "gpt-image-2.5-flare"
        (notice,) = app.notices
        assert "dall-e-3" in notice
        assert "gpt-image-2.5-flare" in notice

    @pytest.mark.parametrize(
        ("settings", "name"),
        [
            ({"image_size": "huge"}, "IMAGE_SIZE"),
            ({"image_size": "1000x1000"}, "IMAGE_SIZE"),
            ({"image_quality": "best"}, "IMAGE_QUALITY"),
            ({"openai_base_url": "painter"}, "OPENAI_BASE_URL"),
            ({"openai_api_key": "two words"}, "OPENAI_API_KEY"),
            ({"pictures_url": "s3://bucket"}, "PICTURES_URL"),
            ({"pictures_url": "pictures"}, "PICTURES_URL"),
        ],
    )
    def test_names_a_setting_that_is_wrong(self, make_app, settings, name):
        with pytest.raises(SettingsError, match=rf"{name}.+\.$"):
            make_app(**{"openai_api_key": "sk-test"} | settings)

    def test_says_that_a_folder_can_t_be_used(self, make_app, tmp_path):
        (tmp_path / "file").touch()

        with pytest.raises(StartError, match="DATA_DIR"):
            make_app(data_dir=tmp_path / "file")

    def test_twice_on_one_folder_works(self, make_app):
        first, second = make_app(), make_app()

        migrate(first.engine)
        assert first.engine.url == second.engine.url
