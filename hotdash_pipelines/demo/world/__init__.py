"""The world behind the stand-in: one store whose orders, conversations and visits belong together.

Belongs here: putting the parts together. Does not belong here: the parts, or any wire format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.demo.clock import VirtualClock
from hotdash_pipelines.demo.request_log import RequestLog
from hotdash_pipelines.demo.scenarios import Scenarios
from hotdash_pipelines.demo.world.shop import Shop

if TYPE_CHECKING:
    from hotdash_pipelines.demo.world.agent import AgentDesk
    from hotdash_pipelines.demo.world.support import Support
    from hotdash_pipelines.demo.world.traffic import Traffic


@dataclass
class World:
    """Everything the API faces share. `credentials` maps the names of the endpoint file to their values."""

    shop: Shop
    clock: VirtualClock
    scenarios: Scenarios
    log: RequestLog
    credentials: Mapping[str, Any]
    # What an API face keeps between requests (buckets, tokens, messages received), by a name of its own.
    extra: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def support(self) -> Support:
        """Conversations of the store's customers, made when first read."""
        from hotdash_pipelines.demo.world.support import Support

        return Support(self.shop)

    @cached_property
    def agent(self) -> AgentDesk:
        """What the support agent does in those conversations, made when first read."""
        from hotdash_pipelines.demo.world.agent import AgentDesk

        return AgentDesk(self.shop)

    @cached_property
    def traffic(self) -> Traffic:
        """Sessions on the store's site, made when first read."""
        from hotdash_pipelines.demo.world.traffic import Traffic

        return Traffic(self.shop)
