"""Fixtures of the source tests: a clock that only moves by sleeping, and scripted HTTP answers.

Belongs here: what several of these test files share. Does not belong here: assertions.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest


class FakeTime:
    """A clock that stands still but for `sleep`; `naps` lists the seconds slept."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
        self.naps: list[float] = []

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.at += timedelta(seconds=seconds)


class Script:
    """Answers requests in turn: each step is a response, an exception to raise, or a function of the request."""

    def __init__(self, *steps: Any) -> None:
        self._steps: Iterator[Any] = iter(steps)
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        return step(request) if callable(step) else step

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def script() -> Callable[..., Script]:
    return Script
