"""Failures of the rooms below, as Dagster should treat them.

Belongs here: the one sorting of errors into "retry this step" and "a person must act".
Does not belong here: what went wrong; the rooms say that in one line.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from hotdash_pipelines.lake.partition import LakeError
from hotdash_pipelines.quality.results import QualityError
from hotdash_pipelines.settings import SettingsError
from hotdash_pipelines.sources import PermanentSourceError, TransientSourceError
from hotdash_pipelines.warehouse.load import TransientLoadError
from hotdash_pipelines.warehouse.postgres import WarehouseError

STEP_RETRIES = 3
_FIRST_WAIT_S = 5.0
# A source that asks for more (a daily quota) ends the step; the next run goes on where this one stopped.
_LONGEST_WAIT_S = 600.0


@contextmanager
def one_line_errors(step: dg.OpExecutionContext) -> Iterator[None]:
    """Turn errors of the rooms into Dagster's: transient ones retry the step, the others end it at once.

    Waits double with each retry unless the source said how long. Failed checks are never retried.
    """
    try:
        yield
    except (TransientSourceError, TransientLoadError) as error:
        asked = error.retry_after if isinstance(error, TransientSourceError) else None
        wait = asked if asked is not None else _FIRST_WAIT_S * 2**step.retry_number
        if step.retry_number >= STEP_RETRIES or wait > _LONGEST_WAIT_S:
            raise dg.Failure(str(error), allow_retries=False) from error
        step.log.warning(f"{error} (retry {step.retry_number + 1} of {STEP_RETRIES} in {wait:.0f} s)")
        raise dg.RetryRequested(max_retries=STEP_RETRIES, seconds_to_wait=wait) from error
    except (PermanentSourceError, LakeError, WarehouseError, QualityError, SettingsError) as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    except OSError as error:
        raise dg.Failure(
            f"the disk refused: {error.strerror or error}; free space and materialise again", allow_retries=False
        ) from error
