"""JSON, CSV and Parquet hold the same rows, in the same bytes each time, and no cell runs in a spreadsheet."""

import csv
import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hotdash_pipelines.operations.export.errors import ExportError
from hotdash_pipelines.operations.export.files import ExportManifest, publish, read_manifest, version_name
from hotdash_pipelines.operations.export.formats import COLUMNS, FORMATS, ExportFormat, registered
from hotdash_pipelines.operations.export.formats.csv_file import safe_cell
from hotdash_pipelines.operations.export.verify import verify
from hotdash_pipelines.storage import FolderStore
from hotdash_pipelines.storage.sealed import sha256_of

AT = datetime(2026, 11, 20, 15, 4, 5, 60, tzinfo=UTC)
ODD = ("", " ", 'say "yes", or\r\nno', "a\u2028b\x0b", "Zoë ☃ 𝒳", "null", "'quoted'", "[1", "\\n\\u0041")


def rows(count: int = 3) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        {
            "id": number,
            "conversation_id": "c-" + "ab" * 16,
            "input_text": ODD[number % len(ODD)],
            "model_draft": ODD[(number + 1) % len(ODD)],
            "safe_to_send": (True, False, None)[number % 3],
            "labels": ([], ["a", 'b,"c'], None)[number % 3],
            "rubric": ({"tone": 5, "x": [1.5, None, {"=y": "=z"}]}, -5, "=1+1", None, [])[number % 5],
            "notes": (None, "fine")[number % 2] if number % 5 else "x",
            "meta": {"text": text} if (text := ODD[number % len(ODD)]) else {},
            "created_at": AT + timedelta(seconds=number),
            "updated_at": AT.replace(microsecond=0),
        }
        for number in range(1, count + 1)
    ]
    return made


def written(file_format: str, path: Path, made: list[dict[str, Any]], batch: int = 1000) -> Path:
    with FORMATS[file_format].writer(path) as write:
        for start in range(0, len(made), batch):
            write(made[start : start + batch])
    return path


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(row, default=lambda instant: instant.isoformat(timespec="microseconds")))


@pytest.mark.parametrize("file_format", FORMATS)
def test_rows_come_back_as_they_were_and_files_are_private(file_format: str, tmp_path: Path) -> None:
    made = rows(60)
    path = written(file_format, tmp_path / "data", made)
    read_back = [row for batch in FORMATS[file_format].read(path) for row in batch]
    wanted = [as_json(row) for row in made]
    if file_format == "csv":
        # Null and the empty text are one empty field to most readers of CSV.
        wanted = [{**row, "notes": row["notes"] or ""} for row in wanted]
    assert read_back == wanted
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("file_format", FORMATS)
def test_equal_rows_make_equal_bytes_and_a_file_that_is_there_is_kept(file_format: str, tmp_path: Path) -> None:
    first, second = (written(file_format, tmp_path / name, rows(60)).read_bytes() for name in ("a", "b"))
    assert first == second
    assert written(file_format, tmp_path / "c", rows(61)).read_bytes() != first
    with pytest.raises((FileExistsError, OSError)):
        written(file_format, tmp_path / "a", rows(1))
    assert (tmp_path / "a").read_bytes() == first


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_that_was_cut_anywhere_is_refused_or_short(file_format: str, tmp_path: Path) -> None:
    """In JSON and Parquet any cut is seen; in CSV one between two rows is, by the number of rows."""
    made = rows(9)
    whole = written(file_format, tmp_path / "whole", made).read_bytes()
    cut, errors = tmp_path / "cut", []
    for length in range(0, len(whole), max(1, len(whole) // 97)):
        cut.write_bytes(whole[:length])
        try:
            count = sum(len(batch) for batch in FORMATS[file_format].read(cut))
        except ExportError as error:
            errors.append(str(error))
            continue
        assert file_format == "csv"
        assert count < len(made)
    assert len(errors) > 50
    assert "Zoë" not in "".join(errors)
    assert sum(len(batch) for batch in FORMATS[file_format].read(tmp_path / "whole")) == len(made)


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_export_without_rows_is_a_whole_file(file_format: str, tmp_path: Path) -> None:
    path = written(file_format, tmp_path / "data", [])
    assert [row for batch in FORMATS[file_format].read(path) for row in batch] == []
    if file_format == "json":
        assert json.loads(path.read_text()) == []


def test_json_is_one_document_with_a_row_on_each_line(tmp_path: Path) -> None:
    path = written("json", tmp_path / "data", rows(20))
    assert json.loads(path.read_text(encoding="utf-8")) == [as_json(row) for row in rows(20)]
    lines = path.read_bytes().decode().split("\n")
    assert [json.loads(line.removesuffix(","))["id"] for line in lines[1:-2]] == list(range(1, 21))


def test_csv_is_as_its_standard_says(tmp_path: Path) -> None:
    path = written("csv", tmp_path / "data", rows(20))
    assert path.read_bytes().startswith(b"id,conversation_id,input_text,")
    assert path.read_bytes().endswith(b"\r\n")
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file, strict=True))
    assert {len(row) for row in lines} == {11}
    assert len(lines) == 21


STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠", "﹦", "﹢", "﹣", "﹫", "\u2212")
BLANKS = ("", " ", "\n", "\u00a0", "\u200b", "\ufeff", "\u3000", " \u2060\n ", "\t", "\x00", "\u00ad")


@pytest.mark.parametrize("start", STARTS, ids=ascii)
def test_no_cell_of_a_csv_begins_as_a_formula(start: str, tmp_path: Path) -> None:
    """Whatever stands before it, in every column that holds text."""
    texts = [f"{blank}{start}cmd|' /C calc'!A0" for blank in BLANKS]
    made = [{**rows(1)[0], "id": n + 1, "input_text": t, "model_draft": t, "notes": t} for n, t in enumerate(texts)]
    path = written("csv", tmp_path / "data", [{**row, "rubric": -1, "labels": [row["notes"]]} for row in made])
    with path.open(newline="", encoding="utf-8") as file:
        _, *lines = csv.reader(file)
    assert len(lines) == len(BLANKS)
    for cells, text in zip(lines, texts, strict=True):
        by_name = dict(zip(COLUMNS, cells, strict=True))
        for column in ("input_text", "model_draft", "notes"):
            assert by_name[column] == f"'{text}"
        assert by_name["rubric"] == "'-1"
        assert by_name["labels"].startswith('["')


@pytest.mark.parametrize(
    "text", ["a=1", "5 - 3", "'=1", "(+49)", "", "  ", "\n", "Ω=", "[EMAIL_REDACTED]", '"=1"', "«-»"]
)
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert safe_cell(text) == text


@pytest.mark.parametrize("export_format", FORMATS.values(), ids=FORMATS)
def test_each_format_is_written_published_proven_and_read(export_format: ExportFormat, tmp_path: Path) -> None:
    store, data = FolderStore(tmp_path / "exports"), tmp_path / export_format.data_file
    plain = [{**row, "input_text": "x", "model_draft": "x", "notes": "x", "rubric": {}, "meta": {}} for row in rows(3)]
    written(export_format.name, data, plain)
    digest = sha256_of(data)
    manifest = ExportManifest(
        version=version_name(AT, digest), format=export_format.name, rows=3, texts=9, made_at=AT.isoformat(),
        snapshot_at=AT.isoformat(), filters={}, columns=COLUMNS, redactor_version="1", redactions={}, known={},
        pseudonym_key_id="0", files={data.name: {"bytes": data.stat().st_size, "sha256": digest}},
    ).signed("a key")  # fmt: skip
    assert publish(store, manifest, data, tmp_path, AT, "a key") is None
    assert read_manifest(store, manifest.version) == manifest
    verified = verify(store, manifest.version, scratch=tmp_path / "scratch", key="a key")
    assert (verified.problems, verified.rows) == ((), 3)
    there = tmp_path / "exports" / manifest.version / data.name
    assert [row["id"] for batch in export_format.read(there) for row in batch] == [1, 2, 3]


def test_a_format_that_is_there_twice_or_by_half_is_refused() -> None:
    whole = FORMATS["json"]
    for twice in (dataclasses.replace(whole, ending="other"), dataclasses.replace(whole, name="other")):
        with pytest.raises(ValueError, match="stands there twice"):
            registered(whole, twice)
    for half in ({"ending": ""}, {"writer": None}, {"rows": None}):
        with pytest.raises(ValueError, match="lacks a part"):
            registered(dataclasses.replace(whole, **half))
