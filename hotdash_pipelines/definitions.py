"""The front door: the one place where settings, resources and the definitions under `defs/` meet."""

import gc
from pathlib import Path

import dagster as dg

from hotdash_pipelines.orchestration.executor import build_executor
from hotdash_pipelines.orchestration.resources import build_resources
from hotdash_pipelines.settings import get_settings


@dg.definitions
def defs() -> dg.Definitions:
    """Everything the code location serves. Loading it touches no network and no database."""
    # Definitions live as long as the process. Counting them again and again as they grow is a tenth of the load.
    gc.freeze()
    found = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    return dg.Definitions.merge(
        found, dg.Definitions(resources=build_resources(), executor=build_executor(get_settings()))
    )
