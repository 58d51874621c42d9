"""`python -m hotdash_pipelines.cli`: the same as `hotdash`."""

from hotdash_pipelines.cli import main

main()
