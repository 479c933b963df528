import json

import pytest

from core.models import JobState, PictureCheck
from tests.builders import NOW, make_product
from tests.pages.conftest import unescaped


@pytest.fixture
def checked(dashboard):
    """Shows the page after a check that ended, or got, like this."""

    def checked(**changes):
        boring = {"asked_by": "local", "started_at": NOW, "finished_at": NOW}
        dashboard.save(PictureCheck(**boring | {"state": JobState.SUCCEEDED} | changes))
        dashboard.open("settings")
        return dashboard

    return checked


class TestTheCheckOfAllPictures:
    def test_was_not_made_at_first(self, dashboard):
        dashboard.open("settings")

        assert "Not checked from here yet." in dashboard.said()

    def test_is_asked_for_by_its_button(self, dashboard):
        dashboard.open("settings")

        dashboard.press("check-pictures")

        assert dashboard.orders == [("check",)]

    def test_tells_that_all_is_well(self, checked):
        (said,) = [unescaped(element.value) for element in checked(done=36, mended=1).at.success]

        assert "You: 36 pictures checked, 0 lost, 1 thumbnail made again, 0 files" in said

    def test_names_the_offers_whose_pictures_are_lost(self, dashboard, checked):
        dashboard.save(make_product(name="![x](http://evil.example/p.gif)"))
        lost = [{"file": "ab.png", "why": "damaged", "offers": [1]}]

        shown = checked(done=2, lost=1, lost_ones=json.dumps(lost))

        assert "Only a backup can bring back what is lost." in shown.said()
        line = "![x](http://evil.example/p.gif) (offer 1): damaged, ab.png"
        assert line in [element.value for element in shown.at.text]  # never as Markdown

    def test_tells_why_it_failed(self, checked):
        assert "It broke." in checked(state=JobState.FAILED, error="It broke.").said()

    def test_tells_no_result_while_it_runs(self, checked):
        at = checked(state=JobState.RUNNING, finished_at=None, done=5, total=20).at

        assert not at.error
        assert not at.success
