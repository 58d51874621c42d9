"""The formats of an export: the same rows in each, and the same bytes for the same rows.

Belongs here: one file a format, which ends in its record. Does not belong here: what the rows hold (export/run.py).

A format is added by its file and its place in FORMATS: the command, manifests and their proof, and the tests that do
the whole with each format follow from there.
"""

from hotdash_pipelines.operations.export.formats.columns import COLUMNS, DESCRIBED, json_text
from hotdash_pipelines.operations.export.formats.csv_file import CSV
from hotdash_pipelines.operations.export.formats.json_file import JSON
from hotdash_pipelines.operations.export.formats.parquet_file import PARQUET
from hotdash_pipelines.operations.export.formats.record import ExportFormat, registered

FORMATS = registered(JSON, CSV, PARQUET)

__all__ = ["COLUMNS", "DESCRIBED", "FORMATS", "ExportFormat", "json_text", "registered"]
