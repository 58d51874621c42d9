"""`hotdash-dbt`: dbt's own program, which looks for garbage rarely.

Belongs here: what has to be said before dbt starts. Does not belong here: what it is asked to do.
"""

from hotdash_pipelines.base.garbage import collect_rarely


def main() -> None:
    """Run dbt with the arguments of this process."""
    collect_rarely()
    from dbt.cli.main import cli

    collect_rarely()
    cli()
