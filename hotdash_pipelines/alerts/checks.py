"""The failed blocking checks behind a run, as `ops.check_results` keeps them.

Belongs here: one query. Does not belong here: running checks (quality), wording (alerts/wording).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.alerts.wording.run_failures import CHECK_RUNBOOK, FailedCheck

if TYPE_CHECKING:
    import psycopg

# The history of a check is what was stored up to that run: a later pass must not hide since when it failed.
_FAILED = """
with failed as (
    select distinct on (asset, check_name) id, asset, check_name, passed, blocking, checked_at, details
    from ops.check_results
    where project_key = %(project)s and run_id = %(run)s
    order by asset, check_name, checked_at desc, id desc
)
select failed.asset, failed.check_name, failed.details,
    (
        select min(earlier.checked_at)
        from ops.check_results as earlier
        where earlier.project_key = %(project)s
            and earlier.asset = failed.asset
            and earlier.check_name = failed.check_name
            and not earlier.passed
            and (earlier.checked_at, earlier.id) <= (failed.checked_at, failed.id)
            and not exists (
                select from ops.check_results as good
                where good.project_key = %(project)s
                    and good.asset = failed.asset
                    and good.check_name = failed.check_name
                    and good.passed
                    and (good.checked_at, good.id) > (earlier.checked_at, earlier.id)
                    and (good.checked_at, good.id) < (failed.checked_at, failed.id)
            )
    ) as since
from failed
where failed.blocking and not failed.passed
order by failed.asset, failed.check_name
"""


def failed_blocking_checks(
    conn: "psycopg.Connection[Any]", project_key: str, run_id: str, owners: Mapping[str, str], default_owner: str
) -> tuple[FailedCheck, ...]:
    """The blocking checks that failed in a run, by asset and name. `owners` maps an asset's key text to its owner."""
    rows = conn.execute(_FAILED, {"project": project_key, "run": run_id}).fetchall()
    return tuple(
        FailedCheck(
            asset=asset,
            check=check,
            message=(details or {}).get("message", ""),
            since=since,
            owner=owners.get(asset, default_owner),
            runbook=(details or {}).get("runbook", CHECK_RUNBOOK),
        )
        for asset, check, details, since in rows
    )
