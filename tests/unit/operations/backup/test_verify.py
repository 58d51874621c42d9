"""Counting rows in what pg_restore writes, wherever the pieces that are read happen to end."""

import io

import pytest

from hotdash_pipelines.operations.backup import verify as backup_verify
from hotdash_pipelines.operations.backup.verify import error_line

RESTORED = b"""--
-- Data for Name: facts
--

COPY agent.facts (id, value) FROM stdin;
1\tCOPY agent.none (id) FROM stdin;
2\t\\\\.
\\.


COPY ops.empty (id) FROM stdin;
\\.


COPY "Odd"."a ""b"" (c)" (id) FROM stdin;
\\N
\\.


SELECT pg_catalog.setval('agent.facts_id_seq', 2, true);
"""
ROWS = {"agent.facts": 2, "ops.empty": 0, '"Odd"."a ""b"" (c)"': 1}


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 64, 10_000])
def test_rows_are_counted_whatever_the_size_of_the_pieces(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(backup_verify, "_READ", piece)
    assert backup_verify._count(io.BytesIO(RESTORED)) == (ROWS, True)


@pytest.mark.parametrize("piece", [1, 64, 10_000])
def test_a_table_that_ends_early_is_told_from_a_whole_one(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(backup_verify, "_READ", piece)
    cut = RESTORED[: RESTORED.index(b"\\.\n\n\nCOPY ops")]
    assert backup_verify._count(io.BytesIO(cut)) == ({"agent.facts": 2}, False)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("pg_dump: warning: odd\npg_dump: error: no such host\npg_dump: detail: x\n", "no such host"),
        ("something else\n", "something else"),
        ("\n", None),
    ],
)
def test_a_complaint_becomes_one_line(said: str, line: str | None) -> None:
    assert error_line(said) == line
