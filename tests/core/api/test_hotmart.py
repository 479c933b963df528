from tests.core.api.conftest import is_problem
from tests.waiting import wait_for

RUN = {
    "run_id", "trigger", "state", "started_at", "finished_at", "step", "step_done", "step_total",
    "seen", "created", "updated", "unchanged", "archived", "covers_queued", "error",
}  # fmt: skip


def finished(call):
    def look():
        status = call("GET", "/hotmart/status").json()
        return None if status["running"] else status

    return wait_for(look)


class TestSync:
    def test_status_before_any(self, call):
        answer = call("GET", "/hotmart/status", role="viewer")

        assert answer.status_code == 200
        assert answer.json() == {"connected": False, "running": False, "last_run": None}

    def test_runs_and_is_counted(self, call_running, hotmart, to_hotmart):
        hotmart.seed_catalogue(products=2)
        hotmart.fail("/products", "slow", seconds=0.5)
        call = call_running(**to_hotmart, covers_per_sync=0)

        first = call("POST", "/hotmart/sync")
        second = call("POST", "/hotmart/sync")
        during = call("GET", "/hotmart/status").json()
        status = finished(call)

        assert first.status_code == second.status_code == 202
        assert first.json() == second.json() == {"run_id": 1, "state": "running"}
        assert during["running"]
        assert status["connected"]
        last = status["last_run"]
        assert set(last) == RUN
        assert (last["state"], last["trigger"]) == ("succeeded", "api")
        assert (last["seen"], last["created"], last["covers_queued"]) == (2, 2, 0)
        assert call("POST", "/hotmart/sync").json()["run_id"] == 2
        finished(call)

    def test_that_fails_says_why(self, call_running, hotmart, to_hotmart):
        hotmart.fail("/security", "401")
        call = call_running(**to_hotmart)

        call("POST", "/hotmart/sync")

        last = finished(call)["last_run"]
        assert (last["state"], last["created"]) == ("failed", 0)
        assert last["error"]

    def test_takes_no_get(self, call):
        assert is_problem(call("GET", "/hotmart/sync"), 405)
