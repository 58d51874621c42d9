"""How the steps of a run are executed.

Belongs here: the executors that a setting chooses between.
Does not belong here: where runs are launched (dagster.yaml).
"""

import dagster as dg

from hotdash_pipelines.settings import Settings


def build_executor(settings: Settings) -> dg.ExecutorDefinition:
    """`HOTDASH_EXECUTOR`: one process a run, or one a step.

    In-process is the default: a step then costs milliseconds, and Great Expectations is imported once a run. Separate
    processes are worth their start (0.3 s a step from a prepared fork server) where steps need isolation or the loads
    of several sources should run side by side.
    """
    if settings.executor == "in_process":
        return dg.in_process_executor
    return dg.multiprocess_executor.configured(
        {"max_concurrent": 2, "start_method": {"forkserver": {"preload_modules": ["hotdash_pipelines.definitions"]}}}
    )
