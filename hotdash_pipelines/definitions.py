"""The front door: the one place where settings, resources and the definitions under `defs/` meet."""

import warnings
from pathlib import Path

import dagster as dg

from hotdash_pipelines.base.garbage import collect_rarely
from hotdash_pipelines.orchestration.executor import build_executor
from hotdash_pipelines.orchestration.resources import build_resources
from hotdash_pipelines.settings import get_settings


@dg.definitions
def defs() -> dg.Definitions:
    """Everything the code location serves. Loading it touches no network and no database."""
    # Definitions live as long as the process. Counting them again and again as they grow is a tenth of the load.
    collect_rarely()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        # Unlike load_from_defs_folder, this describes no component type of any installed package: a fifth of the load.
        served = dg.ComponentTree.for_project(Path(__file__).parent).build_defs(".")
    return dg.Definitions.merge(
        served, dg.Definitions(resources=build_resources(), executor=build_executor(get_settings()))
    )
