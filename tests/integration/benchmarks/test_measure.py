"""A measurement counts only when the rows that the pages hold have landed."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.ingest import WrongRows, measure
from benchmarks.orders import Totals, write_pages
from hotdash_pipelines.warehouse.server.embedded import EmbeddedPostgres

PATHS = ("ours", "ours_onto_rows", "ours_again", "floor")
PEERS = ("dlt_arrow", "dlt_arrow_adbc", "dlt_json", "dlt_json_lean")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Totals]:
    folder = tmp_path_factory.mktemp("pages")
    return folder, write_pages(folder, 300)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.xdist_group("benchmarks")
def test_every_path_of_ours_lands_the_rows_of_the_pages(
    server: EmbeddedPostgres, pages: tuple[Path, Totals], path: str
) -> None:
    found = measure(server, path, *pages)
    assert (found.path, found.orders) == (path, 300)
    assert found.seconds > 0
    assert found.peak_mib > 50


@pytest.mark.skipif(find_spec("dlt") is None, reason="dlt is installed by `make bench` alone")
@pytest.mark.parametrize("path", PEERS)
@pytest.mark.xdist_group("benchmarks")
def test_every_peer_lands_the_rows_of_the_pages(
    server: EmbeddedPostgres, pages: tuple[Path, Totals], path: str
) -> None:
    assert measure(server, path, *pages).seconds > 0


@pytest.mark.xdist_group("benchmarks")
def test_a_path_that_loses_a_row_is_no_measurement(server: EmbeddedPostgres, pages: tuple[Path, Totals]) -> None:
    folder, totals = pages
    with pytest.raises(WrongRows, match="floor landed"):
        measure(server, "floor", folder, replace(totals, lines=totals.lines + 1))


@pytest.mark.xdist_group("benchmarks")
def test_a_path_that_fails_says_why_in_one_line(
    server: EmbeddedPostgres, pages: tuple[Path, Totals], tmp_path: Path
) -> None:
    (tmp_path / "pages-0.jsonl").write_bytes(b'{"data": {"orders": 3}}\n')
    with pytest.raises(RuntimeError, match="ours: ") as refused:
        measure(server, "ours", tmp_path, pages[1])
    assert "\n" not in str(refused.value)
