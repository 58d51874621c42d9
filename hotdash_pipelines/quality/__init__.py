"""Room 5: checks on what the warehouse holds.

Belongs here: dimensions and severities, suites, running them with Great Expectations pushed down to SQL, keeping every
result in Postgres.
Does not belong here: Dagster, alerts (they read the stored results), SLAs.
"""

from hotdash_pipelines.quality.dimensions import CHECK_SEVERITIES, DIMENSIONS, DimensionError
from hotdash_pipelines.quality.results import CheckFinding, QualityError, store_findings
from hotdash_pipelines.quality.run import run_suite
from hotdash_pipelines.quality.suites import EXPECTATIONS_DIR, Expectation, Suite, SuiteError, load_suite, load_suites

__all__ = [
    "CHECK_SEVERITIES",
    "DIMENSIONS",
    "EXPECTATIONS_DIR",
    "CheckFinding",
    "DimensionError",
    "Expectation",
    "QualityError",
    "Suite",
    "SuiteError",
    "load_suite",
    "load_suites",
    "run_suite",
    "store_findings",
]
