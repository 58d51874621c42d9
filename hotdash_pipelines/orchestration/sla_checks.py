"""The asset checks that show how an SLA stands.

Belongs here: their keys and their selection. Does not belong here: the checks themselves (defs/sla), the SLAs
(services/slas.py).
"""

import dagster as dg

from hotdash_pipelines.services.slas import promised
from hotdash_pipelines.sla import Definition


def check_key(definition: Definition) -> dg.AssetCheckKey | None:
    """The asset check that shows the SLA; None for one that is about no single asset."""
    if "/" not in definition.dataset:
        return None
    return dg.AssetCheckKey(dg.AssetKey(definition.dataset.split("/")), definition.check_name)


def shown() -> dg.AssetSelection:
    """All these checks. A verdict is not made anew by building its asset, so jobs leave them out."""
    keys = (check_key(definition) for definition in promised())
    return dg.AssetSelection.checks(*(key for key in keys if key))
