"""How long we ask a service again."""

import pytest

from core.clients.patience import patiently, telling
from core.errors import Problem, ServiceError


def trouble(*, permanent: bool = False, retry_after: float | None = None) -> ServiceError:
    return ServiceError(
        "The service is busy.",
        problem=Problem.SERVER,
        permanent=permanent,
        retry_after=retry_after,
    )


class Service:
    """Raises the given errors one after the other, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


class TestPatiently:
    def test_returns_the_answer_without_waiting(self):
        waits: list[float] = []

        assert patiently(Service(), sleep=waits.append) == "answer"

        assert waits == []

    def test_repeats_a_passing_error(self):
        service = Service(trouble(), trouble())

        assert patiently(service, sleep=lambda _: None) == "answer"

        assert service.calls == 3

    def test_does_not_repeat_a_permanent_error(self):
        service = Service(trouble(permanent=True))

        with pytest.raises(ServiceError):
            patiently(service, sleep=lambda _: None)

        assert service.calls == 1

    def test_does_not_repeat_a_bug(self):
        service = Service(KeyError("bug"))

        with pytest.raises(KeyError):
            patiently(service, sleep=lambda _: None)

        assert service.calls == 1

    def test_raises_the_last_error_as_it_is(self):
        errors = [trouble() for _ in range(3)]

        with pytest.raises(ServiceError) as caught:
            patiently(Service(*errors), attempts=3, sleep=lambda _: None)

        assert caught.value is errors[-1]
        assert caught.value.__cause__ is None

    def test_waits_as_long_as_the_service_asks(self):
        waits: list[float] = []

        patiently(Service(trouble(retry_after=7)), sleep=waits.append)

        assert waits == [7]

    def test_gives_up_at_once_when_the_service_asks_for_too_long(self):
        waits: list[float] = []
        service = Service(trouble(retry_after=121))

        with pytest.raises(ServiceError):
            patiently(service, longest_wait=120, sleep=waits.append)

        assert (service.calls, waits) == (1, [])

    def test_waits_longer_each_time_and_never_over_twenty_seconds(self):
        waits: list[float] = []

        with pytest.raises(ServiceError):
            patiently(Service(*[trouble()] * 9), attempts=9, sleep=waits.append)

        assert [1 <= waits[0] <= 2, 2 <= waits[1] <= 3, 4 <= waits[2] <= 5] == [True] * 3
        assert max(waits) == waits[-1] == 20
        assert len(waits) == 8

    def test_never_backs_off_longer_than_the_longest_wait(self):
        waits: list[float] = []

        with pytest.raises(ServiceError):
            patiently(Service(*[trouble()] * 5), longest_wait=0.5, sleep=waits.append)

        assert waits == [0.5] * 4


class TestTelling:
    def test_hears_of_a_wait_before_it_begins(self):
        news: list[tuple[str, float]] = []

        with telling(lambda seconds: news.append(("told", seconds))):
            patiently(
                Service(trouble(retry_after=7)),
                sleep=lambda seconds: news.append(("slept", seconds)),
            )

        assert news == [("told", 7), ("slept", 7)]

    def test_hears_nothing_after_its_block(self):
        heard: list[float] = []

        with telling(heard.append):
            pass
        patiently(Service(trouble(retry_after=7)), sleep=lambda _: None)

        assert heard == []
