"""Room 5: checks on what the warehouse holds.

Belongs here: suites, running them with Great Expectations pushed down to SQL, keeping every result in Postgres.
Does not belong here: Dagster, alerts (they read the stored results), SLAs.
"""

from hotdash_pipelines.quality.results import CheckFinding, QualityError, store_findings
from hotdash_pipelines.quality.run import run_suite
from hotdash_pipelines.quality.suites import EXPECTATIONS_DIR, Expectation, Suite, SuiteError, load_suite, load_suites

__all__ = [
    "EXPECTATIONS_DIR",
    "CheckFinding",
    "Expectation",
    "QualityError",
    "Suite",
    "SuiteError",
    "load_suite",
    "load_suites",
    "run_suite",
    "store_findings",
]
