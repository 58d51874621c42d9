"""What Google counts of each date, asked apart from the rows: a total without the dimensions of the stream.

Belongs here: one number a date, whatever it is broken down by elsewhere. Does not belong here: reading the rows.

Sessions and users are estimates (HyperLogLog++): those of a date are not the sum of its rows. So the contract names a
metric that Google counts one by one.
"""

from collections.abc import Mapping, Sequence

from hotdash_pipelines.base.windows import Window
from hotdash_pipelines.contracts import Contract
from hotdash_pipelines.sources.errors import PermanentSourceError
from hotdash_pipelines.sources.ga4.client import Ga4Client, Ga4Report
from hotdash_pipelines.sources.ga4.streams import LANDING_DAILY, TRAFFIC_DAILY
from hotdash_pipelines.sources.registry import counts


@counts("ga4", "traffic_daily")
def count_traffic_daily(client: Ga4Client, contract: Contract, windows: Sequence[Window]) -> Mapping[str, int | None]:
    """The contract's metric of each date, whatever the sessions came from."""
    return _totals(client, contract, TRAFFIC_DAILY, windows)


@counts("ga4", "landing_daily")
def count_landing_daily(client: Ga4Client, contract: Contract, windows: Sequence[Window]) -> Mapping[str, int | None]:
    """The contract's metric of each date, wherever the sessions began."""
    return _totals(client, contract, LANDING_DAILY, windows)


def _totals(
    client: Ga4Client, contract: Contract, report: Ga4Report, windows: Sequence[Window]
) -> Mapping[str, int | None]:
    """All dates in one request. None for each where Google withholds or samples: then it does not count."""
    keys = sorted(window.key for window in windows)
    totals = client.totals(_counted_metric(contract, report), keys[0], keys[-1])
    return {key: None if totals is None else totals.get(key, 0) for key in keys}


def _counted_metric(contract: Contract, report: Ga4Report) -> str:
    """The metric behind the column `counts`, by the position that the contract names."""
    path = contract.field_of(contract.table, contract.counts).path if contract.counts else None
    position = (path or "").removeprefix("metricValues[").partition("]")[0]
    if not position.isdecimal() or int(position) >= len(report.metrics):
        raise PermanentSourceError(f"the contract of {contract.source}/{contract.stream} counts no metric: mend counts")
    return report.metrics[int(position)]
