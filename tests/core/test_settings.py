import traceback
from decimal import Decimal
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import Settings, read_settings

SECRET = "s3cr3t-Zq8x"


class TestDefaults:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("data_dir", Path("data")),
            ("database_url", None),
            ("jobs_database_url", None),
            ("pictures_url", None),
            ("hotmart_client_id", None),
            ("hotmart_client_secret", None),
            ("hotmart_basic", None),
            ("hotmart_api_url", "https://developers.hotmart.com"),
            ("hotmart_auth_url", "https://api-sec-vlc.hotmart.com"),
            ("hotmart_hottok", None),
            ("hotmart_sales_months", 12),
            ("openai_api_key", None),
            ("openai_base_url", None),
            ("image_model", "gpt-image-2.5-flare"),
            ("image_quality", "medium"),
            ("image_size", "1024x1024"),
            ("images_per_minute", 5),
            ("images_at_once", 4),
            ("covers_per_sync", None),
            ("monthly_budget_usd", None),
            ("sync_schedule", None),
            ("admin_emails", ""),
            ("allowed_hosts", ""),
            ("listen_without_sign_in", False),
        ],
    )
    def test_are_those_of_the_table(self, name, value):
        assert getattr(read_settings(), name) == value

    def test_of_this_table_leave_no_setting_out(self):
        table = self.test_are_those_of_the_table.pytestmark[0].args[1]

        assert {name for name, _value in table} == set(Settings.model_fields)

    def test_keep_everything_in_the_data_folder(self, tmp_path):
        settings = read_settings(data_dir=tmp_path)

        assert settings.database == f"sqlite:///{tmp_path}/dashboard.db"
        assert settings.jobs_database == f"sqlite:///{tmp_path}/jobs.db"
        assert settings.pictures == f"file://{tmp_path}/pictures"

    def test_need_no_folder_that_is_there(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        read_settings()

        assert list(tmp_path.iterdir()) == []

    def test_keep_the_jobs_in_the_postgresql_of_the_offers(self):
        settings = read_settings(database_url="postgresql://db/capista")

        assert settings.jobs_database == "postgresql://db/capista"

    def test_connect_to_nothing(self):
        settings = read_settings()

        assert not settings.hotmart_is_connected
        assert not settings.images_are_connected


class TestReadSettings:
    def test_takes_the_environment(self, monkeypatch):
        monkeypatch.setenv("IMAGES_AT_ONCE", "7")

        assert read_settings().images_at_once == 7

    def test_takes_the_env_file(self, tmp_path, monkeypatch):
        (tmp_path / ".env").write_text("IMAGES_AT_ONCE=7\nSOMETHING_ELSE=1\n")
        monkeypatch.setitem(Settings.model_config, "env_file", ".env")
        monkeypatch.chdir(tmp_path)

        assert read_settings().images_at_once == 7

    def test_prefers_the_environment_to_the_env_file(self, tmp_path, monkeypatch):
        (tmp_path / ".env").write_text("IMAGES_AT_ONCE=7")
        monkeypatch.setitem(Settings.model_config, "env_file", ".env")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("IMAGES_AT_ONCE", "8")

        assert read_settings().images_at_once == 8

    @pytest.mark.parametrize("name", Settings.model_fields)
    def test_counts_an_empty_variable_as_not_set(self, name, monkeypatch):
        monkeypatch.setenv(name.upper(), "")

        assert getattr(read_settings(), name) == Settings.model_fields[name].default

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("IMAGES_PER_MINUTE", "-1"),
            ("IMAGES_PER_MINUTE", "many"),
            ("IMAGES_AT_ONCE", "0"),
            ("IMAGES_AT_ONCE", "65"),
            ("IMAGES_AT_ONCE", "2.5"),
            ("COVERS_PER_SYNC", "-1"),
            ("COVERS_PER_SYNC", "some"),
            ("MONTHLY_BUDGET_USD", "-5"),
            ("MONTHLY_BUDGET_USD", "ten"),
            ("MONTHLY_BUDGET_USD", "NaN"),
            ("HOTMART_SALES_MONTHS", "0"),
            ("HOTMART_SALES_MONTHS", "121"),
            ("SYNC_SCHEDULE", "every day"),
            ("SYNC_SCHEDULE", "61 * * * *"),
            ("DATABASE_URL", "dashboard.db"),
            ("DATABASE_URL", "mysql://db/capista"),
            ("JOBS_DATABASE_URL", "jobs.db"),
            ("JOBS_DATABASE_URL", "mongodb://db/jobs"),
        ],
    )
    def test_names_a_wrong_value_in_a_sentence(self, name, value, monkeypatch):
        monkeypatch.setenv(name, value)

        with pytest.raises(SettingsError, match=rf"\b{name}\b.+\.$"):
            read_settings()

    def test_names_all_wrong_values_at_once(self):
        with pytest.raises(SettingsError) as raised:
            read_settings(images_at_once=0, images_per_minute=-1)

        assert "IMAGES_AT_ONCE" in str(raised.value)
        assert "IMAGES_PER_MINUTE" in str(raised.value)

    @pytest.mark.parametrize(
        ("written", "meant"),
        [("all", None), ("ALL", None), (" All ", None), ("0", 0), ("1", 1), ("250", 250)],
    )
    def test_understands_covers_per_sync(self, written, meant, monkeypatch):
        monkeypatch.setenv("COVERS_PER_SYNC", written)

        assert read_settings().covers_per_sync == meant

    def test_takes_no_limit_of_images_per_minute(self):
        assert read_settings(images_per_minute=0).images_per_minute == 0

    def test_reads_a_budget_exactly(self, monkeypatch):
        monkeypatch.setenv("MONTHLY_BUDGET_USD", "12.30")

        assert read_settings().monthly_budget_usd == Decimal("12.30")

    @pytest.mark.parametrize("line", ["0 6 * * *", "*/15 8-18 * * 1-5", "0 0 6 * * *"])
    def test_takes_a_cron_line(self, line):
        assert read_settings(sync_schedule=line).sync_schedule == line

    @pytest.mark.parametrize(
        "given",
        [
            {"hotmart_client_id": "id"},
            {"hotmart_client_secret": SECRET},
        ],
    )
    def test_wants_both_of_hotmart_s_credentials(self, given):
        with pytest.raises(SettingsError, match=r"HOTMART_CLIENT_ID and HOTMART_CLIENT_SECRET"):
            read_settings(**given)

    def test_wants_a_key_for_another_image_service(self):
        with pytest.raises(SettingsError, match="OPENAI_API_KEY"):
            read_settings(openai_base_url="http://localhost:8080/v1")

    def test_is_connected_with_both_parts(self):
        settings = read_settings(
            hotmart_client_id="id", hotmart_client_secret="s", openai_api_key="k"
        )

        assert settings.hotmart_is_connected
        assert settings.images_are_connected

    def test_gives_a_value_that_nobody_can_change(self):
        with pytest.raises(ValueError, match="frozen"):
            read_settings().images_at_once = 9  # type: ignore[misc]


class TestSecrets:
    SECRET_SETTINGS = (
        "hotmart_client_id",
        "hotmart_client_secret",
        "hotmart_basic",
        "hotmart_hottok",
        "openai_api_key",
    )

    def test_never_show_when_settings_are_printed(self):
        settings = read_settings(**dict.fromkeys(self.SECRET_SETTINGS, SECRET))

        for shown in (str(settings), repr(settings), f"{settings!r:>5}", repr(vars(settings))):
            assert SECRET not in shown

    @pytest.mark.parametrize(
        ("name", "address"),
        [
            ("database_url", "postgresql://capista:{}@db/capista"),
            ("jobs_database_url", "postgresql://capista:{}@db/capista"),
            ("openai_base_url", "http://user:{}@painter/v1"),
        ],
    )
    def test_inside_an_address_never_show_either(self, name, address):
        settings = read_settings(**{name: address.format(SECRET), "openai_api_key": "key"})

        assert SECRET not in str(settings) + repr(settings)

    @pytest.mark.parametrize("name", [*SECRET_SETTINGS, "database_url", "jobs_database_url"])
    def test_never_show_in_a_refusal(self, name, monkeypatch):
        monkeypatch.setenv(name.upper(), f"mysql://u:{SECRET}@db:port/x")
        monkeypatch.setenv("IMAGES_AT_ONCE", "0")

        with pytest.raises(SettingsError) as raised:
            read_settings()

        assert SECRET not in "".join(traceback.format_exception(raised.value))

    def test_of_a_half_pair_never_show(self):
        with pytest.raises(SettingsError) as raised:
            read_settings(hotmart_client_secret=SECRET)

        assert SECRET not in "".join(traceback.format_exception(raised.value))
