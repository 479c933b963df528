import json
import unicodedata

import pytest

from core.clients.hotmart import RemoteProduct
from core.clients.sample_catalogue import SAMPLE_FILE, SampleCatalogue
from core.sync import plan_sync
from tests.builders import NOW


@pytest.fixture(scope="module")
def offers():
    return SampleCatalogue().read_catalogue(now=NOW, report=lambda *_: None)


class TestSampleCatalogue:
    def test_has_at_least_30_offers(self, offers):
        assert len(offers) >= 30
        assert all(isinstance(offer, RemoteProduct) for offer in offers)
        assert len({offer.hotmart_id for offer in offers}) == len(offers)

    def test_has_created_and_promoted_ones(self, offers):
        assert {offer.origin for offer in offers} == {"created", "promoted"}

    @pytest.mark.parametrize("letters", ["ãõç", "ñ¿¡íó", "áéúê"])
    def test_has_the_accents_of_its_languages(self, offers, letters):
        names = "".join(unicodedata.normalize("NFC", offer.name.lower()) for offer in offers)

        assert any(letter in names for letter in letters)

    @pytest.mark.parametrize(
        "words", [{"para", "você", "com"}, {"el", "tu", "sin"}, {"for", "the"}]
    )
    def test_speaks_three_languages(self, offers, words):
        spoken = {word for offer in offers for word in offer.name.lower().split()}

        assert spoken & words

    def test_has_emoji(self, offers):
        assert any(ord(letter) > 0x1F000 for offer in offers for letter in offer.name)

    def test_has_prices_in_several_currencies(self, offers):
        assert {"BRL", "USD", "EUR"} <= {offer.currency for offer in offers}
        assert sum(offer.price is not None for offer in offers) >= 30
        assert any(offer.price % 1 for offer in offers if offer.price)

    def test_shows_no_buyer(self):
        text = SAMPLE_FILE.read_text(encoding="utf-8")

        assert "buyer" not in text
        assert "@" not in text

    def test_tells_each_step(self):
        steps = []

        SampleCatalogue().read_catalogue(now=NOW, report=lambda *step: steps.append(step))

        assert [step for step, _done, _total in steps] == ["products", "offers", "sales"]
        assert all(done == total for _step, done, total in steps)

    def test_is_the_same_every_time(self, offers):
        again = SampleCatalogue().read_catalogue(now=NOW, report=lambda *_: None)

        assert again == offers

    def test_can_all_be_taken_in(self, offers):
        assert len(plan_sync(offers, [], is_sample=True).new) == len(offers)

    def test_is_in_hotmart_s_own_shape(self):
        sample = json.loads(SAMPLE_FILE.read_text(encoding="utf-8"))

        assert set(sample) == {"products", "offers", "sales"}
        assert all("ucode" in item for item in sample["products"]["items"])
        assert all("purchase" in item for item in sample["sales"]["items"])
