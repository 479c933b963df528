"""The checks of the Settings page, against the services on loopback."""

import pytest

from core.access import Actor, Role
from core.errors import ForbiddenError, Problem, ServiceError, SettingsError
from tests.builders import BOSS
from tests.simulators.hotmart import CLIENT_ID, CLIENT_SECRET, ME, PRODUCTS

NO_ADMINS = [Actor("eva@example.com", Role.VIEWER), Actor("eva@example.com", Role.EDITOR)]
WRONG = "wr0ng-s3cret-Zq8x"


class TestCheckHotmart:
    def test_tells_whose_account_it_is(self, make_app, hotmart, to_hotmart):
        said = make_app(**to_hotmart).check_hotmart(by=BOSS)

        assert said == "Hotmart answers, and knows you as Marina Afiliada."

    def test_goes_without_a_name(self, make_app, hotmart, to_hotmart):
        hotmart.variant("me", False)

        said = make_app(**to_hotmart).check_hotmart(by=BOSS)

        assert said == "Hotmart answers, and the account can be used."

    def test_reads_no_offer(self, make_app, hotmart, to_hotmart):
        hotmart.add_product(price=97)

        make_app(**to_hotmart).check_hotmart(by=BOSS)

        assert len(hotmart.asked(ME)) == 1
        assert hotmart.asked(PRODUCTS) == []

    @pytest.mark.parametrize("wrong", ["hotmart_client_id", "hotmart_client_secret"])
    @pytest.mark.parametrize("echo", [True, False], ids=["echoed", "silent"])
    def test_says_that_the_credentials_are_wrong(self, make_app, hotmart, to_hotmart, wrong, echo):
        hotmart.variant("echo", echo)
        app = make_app(**to_hotmart | {wrong: WRONG})

        with pytest.raises(ServiceError) as raised:
            app.check_hotmart(by=BOSS)

        assert raised.value.problem == Problem.KEY
        assert "HOTMART_CLIENT_ID" in str(raised.value)
        for secret in (WRONG, CLIENT_ID, CLIENT_SECRET):
            assert secret not in str(raised.value)
            assert secret not in repr(raised.value)

    def test_says_that_nothing_is_connected(self, make_app, hotmart):
        with pytest.raises(SettingsError, match="HOTMART_CLIENT_ID and HOTMART_CLIENT_SECRET"):
            make_app().check_hotmart(by=BOSS)

        assert hotmart.requests == []

    @pytest.mark.parametrize("by", NO_ADMINS, ids=lambda by: by.role)
    def test_is_for_admins(self, make_app, hotmart, to_hotmart, by):
        with pytest.raises(ForbiddenError, match="admin is needed"):
            make_app(**to_hotmart).check_hotmart(by=by)

        assert hotmart.requests == []

    @pytest.mark.parametrize("by", NO_ADMINS, ids=lambda by: by.role)
    def test_tells_others_nothing_of_the_settings(self, make_app, by):
        with pytest.raises(ForbiddenError):
            make_app().check_hotmart(by=by)


class TestCheckImages:
    def test_tells_that_the_model_is_there(self, make_app, openai, to_openai):
        said = make_app(**to_openai).check_images(by=BOSS)

        assert said == "The image service answers, and offers gpt-image-2.5-flare."

    def test_tells_that_the_model_is_not_listed(self, make_app, openai, to_openai):
        openai.imitates = "other"

        said = make_app(**to_openai, image_model="my-model").check_images(by=BOSS)

        assert "does not list my-model" in said
        assert "IMAGE_MODEL" in said

    @pytest.mark.parametrize("model", ["gpt-image-2.5-flare", "my-model"])
    def test_asks_for_no_picture(self, make_app, openai, to_openai, model):
        make_app(**to_openai, image_model=model).check_images(by=BOSS)

        assert (openai.asked, openai.bill) == (0, 0)
        assert [(asked.method, asked.path) for asked in openai.requests] == [("GET", "/v1/models")]

    def test_says_that_the_key_is_wrong(self, make_app, openai, to_openai):
        app = make_app(**to_openai | {"openai_api_key": WRONG})

        with pytest.raises(ServiceError) as raised:
            app.check_images(by=BOSS)

        assert raised.value.problem == Problem.KEY
        assert WRONG not in str(raised.value)
        assert openai.key not in str(raised.value)

    def test_says_that_the_address_is_no_image_service(self, make_app, hotmart, to_openai):
        app = make_app(**to_openai | {"openai_base_url": f"{hotmart.url}/{WRONG}"})

        with pytest.raises(ServiceError) as raised:
            app.check_images(by=BOSS)

        assert to_openai["openai_api_key"] not in str(raised.value)

    def test_says_that_nothing_is_connected(self, make_app, openai):
        with pytest.raises(SettingsError, match="OPENAI_API_KEY"):
            make_app().check_images(by=BOSS)

        assert openai.requests == []

    @pytest.mark.parametrize("by", NO_ADMINS, ids=lambda by: by.role)
    def test_is_for_admins(self, make_app, openai, to_openai, by):
        with pytest.raises(ForbiddenError, match="admin is needed"):
            make_app(**to_openai).check_images(by=by)
        with pytest.raises(ForbiddenError):
            make_app().check_images(by=by)

        assert openai.requests == []
