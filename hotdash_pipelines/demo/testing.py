"""The stand-in inside a test process: a real server on loopback, and a handle on its world.

Belongs here: starting and stopping it. Does not belong here: fixtures or assertions of any test.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hotdash_pipelines.demo.app import create_app
from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.credentials import make_credentials
from hotdash_pipelines.demo.request_log import RequestLog
from hotdash_pipelines.demo.roughness import USUAL, Roughness
from hotdash_pipelines.demo.scenarios import Scenarios
from hotdash_pipelines.demo.serve import address_of, bind, make_server
from hotdash_pipelines.demo.world import World

_START_SECONDS = 20.0


@dataclass(frozen=True)
class RunningStandIn:
    """A stand-in that serves. `credentials` has the names of the endpoint file; the rest is the live world."""

    url: str
    credentials: Mapping[str, Any]
    world: World

    @property
    def clock(self) -> VirtualClock:
        """The world's clock; moving it moves what the APIs answer."""
        return self.world.clock

    @property
    def scenarios(self) -> Scenarios:
        """The faults due."""
        return self.world.scenarios

    @property
    def log(self) -> RequestLog:
        """What has been asked."""
        return self.world.log

    def endpoint(self) -> dict[str, Any]:
        """What the endpoint file of a stand-in process would hold."""
        shop = self.world.shop
        return {"url": self.url, "pid": 0, "seed": shop.seed, "scale": shop.scale, **self.credentials}


@contextmanager
def start_stand_in(
    seed: int = 7, scale: float = 0.01, now: datetime | None = None, rough: str = USUAL
) -> Iterator[RunningStandIn]:
    """A stand-in on a free loopback port; frozen at `now` if given, else following real time."""
    bound = bind("127.0.0.1", 0)
    url = address_of(bound)
    credentials = make_credentials(url)
    app = create_app(seed, scale, VirtualClock(now), credentials, Roughness.read(rough))
    server = make_server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="stand-in", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the stand-in did not start")
            time.sleep(0.01)
        yield RunningStandIn(url, credentials, app.state.world)
    finally:
        server.should_exit = True
        thread.join(10)
        bound.close()
