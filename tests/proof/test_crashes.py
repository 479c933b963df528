"""A small part of what ``python -m tests.proof.crash``, ``soak`` and ``machine`` try at length."""

import pytest

from tests.proof import crash, soak
from tests.proof.crash import points_of, try_all
from tests.proof.deeds import DEEDS, WRONG, prepare
from tests.proof.machine import FAULTS, meet, place

pytestmark = pytest.mark.skipif(bool(crash.is_possible()), reason=str(crash.is_possible()))

OFTEN, SELDOM = 3, 20


class TestAKill:
    @pytest.mark.parametrize(
        ("deed", "every"),
        [(name, OFTEN if name in ("upload", "clean-up") else SELDOM) for name in DEEDS],
    )
    def test_leaves_nothing_lost_and_nothing_by_halves(self, deed, every):
        row = try_all(DEEDS[deed], "kill", every=every)

        assert row.points >= 1
        assert row.findings == []

    def test_in_the_wrong_order_of_writes_is_noticed(self):
        row = try_all(WRONG, "kill", every=4)

        assert any("lost" in finding for finding in row.findings)


class TestARefusedWrite:
    @pytest.mark.parametrize("fault", ["EIO", "ENOSPC"])
    def test_of_an_upload_is_never_called_done(self, fault):
        row = try_all(DEEDS["upload"], fault, every=OFTEN)

        assert row.points >= 3
        assert row.done == 0
        assert row.findings == []


class TestTheOrderOfWrites:
    def test_is_bytes_first_and_all_of_it_durable_before_the_row(self, tmp_path):
        """What a kill can't show, because it leaves the system's memory: a power cut would."""
        prepare(DEEDS["upload"], tmp_path)
        calls = [(point.call, point.place) for point in points_of(DEEDS["upload"], tmp_path)]
        renames = [i for i, (call, _place) in enumerate(calls) if call == "rename"]
        row = next(i for i, (_call, place) in enumerate(calls) if place.endswith("-wal"))

        assert len(renames) == 2  # the thumbnail, then the picture
        for i in renames:
            assert calls[i - 1] == ("fsync", calls[i - 1][1])
            assert calls[i - 1][1].endswith(".part")
            folder = calls[i][1].rpartition("/")[0]
            assert calls[i + 1 : i + 3] == [("fsync", folder), ("fsync", "data/pictures")]
        assert renames[-1] + 2 < row
        assert calls[-1][0] == "fsync"
        assert calls[-1][1].endswith("-wal")


class TestAFaultOfTheMachine:
    @pytest.mark.parametrize("name", [name for name in FAULTS if "another program" not in name])
    def test_is_a_sentence_and_passes(self, name):
        with place(name) as folder:
            if folder is None:
                pytest.skip("a small disk of its own takes root")
            sentence, findings = meet(name, folder)

        assert sentence.endswith(".")
        assert findings == []


class TestKillsAtRandom:
    def test_lose_nothing_and_pay_for_nothing_twice(self, tmp_path):
        _table, findings = soak.run(tmp_path, kills=10)

        assert findings == []
