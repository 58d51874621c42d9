"""Findings of checks and their history in `ops.check_results`, which scores and SLAs read.

Belongs here: the form of a finding, whoever made it (an expectation, a dbt test), and storing it.
Does not belong here: making findings (run.py), judging them over time.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hotdash_pipelines.base.errors import HotdashError
from hotdash_pipelines.quality.dimensions import CHECK_SEVERITIES

PROJECT_KEY = re.compile(r"^[a-z0-9][a-z0-9-]*$")


class QualityError(HotdashError):
    """Checks could not be run at all, which is not a finding. The message is one line and says what to do."""


@dataclass(frozen=True)
class CheckFinding:
    """What one check of one asset found. `message` and counts only: a finding never carries a value of the data.

    `element_count` is how many rows were looked at, `unexpected_count` how many of them broke the rule; None where the
    check has no such number. `type` is the expectation's type, or `dbt:<test>` for a dbt test.
    """

    asset: str
    check: str
    dimension: str
    severity: str
    blocking: bool
    passed: bool
    type: str
    message: str
    element_count: int | None = None
    unexpected_count: int | None = None
    runbook: str = "docs/runbooks/quality-check-failed.md"


_STORE = """
insert into ops.check_results
    (project_key, asset, check_name, dimension, severity, blocking, passed, element_count, unexpected_count,
     run_id, checked_at, details)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


def store_findings(url: str, findings: Sequence[CheckFinding], project_key: str, run_id: str, now: datetime) -> int:
    """Keep the findings of one run in `ops.check_results`; returns how many rows were written.

    A check that is stored again for the same run (a retried step) replaces what was there, so a run has one row a
    check. `now` is aware and becomes `checked_at`. Raises ValueError when a check stands twice among the findings.
    """
    if now.tzinfo is None:
        raise ValueError("now must be an aware datetime")
    named = {(finding.asset, finding.check) for finding in findings}
    if len(named) != len(findings):
        raise ValueError("a check stands twice among the findings of one run")
    if not findings:
        return 0

    from hotdash_pipelines.warehouse.postgres import connect

    assets, checks = zip(*named, strict=True)
    with connect(url) as connection, connection.cursor() as cursor:
        # Two steps of one run store at the same time; without a lock both could delete before either inserts.
        lock = f"check_results:{project_key}:{run_id}"
        cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (lock,))
        cursor.execute(
            """
            delete from ops.check_results as kept
            using unnest(%s::text[], %s::text[]) as renewed (asset, check_name)
            where kept.run_id = %s and kept.project_key = %s
              and kept.asset = renewed.asset and kept.check_name = renewed.check_name
            """,
            (list(assets), list(checks), run_id, project_key),
        )
        cursor.executemany(
            _STORE,
            [
                (
                    project_key,
                    finding.asset,
                    finding.check,
                    finding.dimension,
                    # What a failure does (stop or warn); the finer severity stays in the details.
                    CHECK_SEVERITIES[finding.severity].stored,
                    finding.blocking,
                    finding.passed,
                    finding.element_count,
                    finding.unexpected_count,
                    run_id,
                    now,
                    json.dumps(_details(finding)),
                )
                for finding in findings
            ],
        )
    return len(findings)


def _details(finding: CheckFinding) -> dict[str, str]:
    return {
        "type": finding.type,
        "severity": finding.severity,
        "message": finding.message,
        "runbook": finding.runbook,
    }
