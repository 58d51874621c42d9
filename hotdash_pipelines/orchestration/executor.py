"""How the steps of a run are executed.

Belongs here: the executors that a setting chooses between, and what a failed step means for those behind it.
Does not belong here: where runs are launched (dagster.yaml).
"""

import dagster as dg

from hotdash_pipelines.settings import Settings

# A step goes on behind one that failed, as soon as that has handed over what it has: a lake or raw step hands over the
# windows that landed and then fails. A step that hands over nothing stops what is behind it, as ever.
_GOES_ON = {"step_dependency_config": {"require_upstream_step_success": False}}


def build_executor(settings: Settings) -> dg.ExecutorDefinition:
    """`HOTDASH_EXECUTOR`: one process a run, or one a step.

    In-process is the default: a step then costs milliseconds, and Great Expectations is imported once a run. Separate
    processes are worth their start (0.3 s a step from a prepared fork server) where steps need isolation or the loads
    of several sources should run side by side.
    """
    if settings.executor == "in_process":
        return in_this_process()
    return dg.multiprocess_executor.configured(
        {
            "max_concurrent": 2,
            "start_method": {"forkserver": {"preload_modules": ["hotdash_pipelines.definitions"]}},
            **_GOES_ON,
        }
    )


def in_this_process() -> dg.ExecutorDefinition:
    """All steps one after the other in the process of the run."""
    return dg.in_process_executor.configured(_GOES_ON)
