"""Exports of training data: no known person in any byte, every row seen, one snapshot, immutable versions."""

import json
import logging
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hotdash_pipelines.operations.export import rows as export_rows
from hotdash_pipelines.operations.export import run as export
from hotdash_pipelines.operations.export.files import ExportError, listed, versions
from hotdash_pipelines.operations.export.formats import FORMATS
from hotdash_pipelines.operations.export.people import People
from hotdash_pipelines.operations.export.pseudonyms import Pseudonyms
from hotdash_pipelines.operations.export.rows import Filters
from hotdash_pipelines.operations.export.run import PersonalDataLeft, export_training
from hotdash_pipelines.operations.export.verify import verify
from hotdash_pipelines.redaction.redactor import Redactor
from hotdash_pipelines.storage import open_store
from hotdash_pipelines.warehouse.postgres import connect, with_database
from tests.integration.operations.export import export_people as people

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
KEY = b"0123456789abcdef0123456789abcdef"
SECRETS = [
    *people.KNOWN, people.NAME.split()[0], people.NAME.split()[1], "Ruth Adeyemi",
    "(415) 555-0132", "415 555 0132", "4155550132", people.CONVERSATION, "stranger@example.edu",
]  # fmt: skip


class Place:
    """A database with raw tables, and a folder for exports."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.root, self.scratch = url, folder / "exports", folder / "scratch"
        self.store = open_store(str(self.root))

    def publish(self, file_format: str = "json", now: datetime = NOW, **options: Any) -> export.Export:
        return export_training(
            self.url, self.store, format=file_format, now=now, scratch=self.scratch,
            **{"pseudonym_key": KEY, **options},
        )  # fmt: skip

    def rows(self, done: export.Export) -> list[dict[str, Any]]:
        assert done.manifest.format == "json"
        return json.loads(Path(done.location, "data.json").read_text())

    def left(self) -> list[str]:
        """Everything in the scratch folder but its lock."""
        there = self.scratch.iterdir() if self.scratch.exists() else ()
        return [path.name for path in there if path.name != ".lock"]


@pytest.fixture
def place(warehouse_url: str, tmp_path: Path) -> Place:
    with connect(warehouse_url, autocommit=True) as conn:
        people.raw_tables(conn)
    return Place(warehouse_url, tmp_path)


@pytest.fixture
def conn(place: Place) -> Any:
    with connect(place.url, autocommit=True) as connection:
        yield connection


def everywhere(secret: str) -> dict[str, Any]:
    """A draft that has the text in every column and at every depth."""
    said = f"This is about {secret}, yes {secret.upper()}."
    return {
        "input_text": said,
        "model_draft": f"Hi {secret},\n{said}",
        "notes": f"{secret} again",
        "labels": [secret, f"for {secret}"],
        "rubric": {secret: 5, "tone": [{"why": said, f"of {secret}": {"deep": [[secret]]}}]},
        "meta": {"note": secret, "list": [said, {"x": secret}], "json": json.dumps({"inner": [secret]})},
    }


@pytest.mark.parametrize("file_format", FORMATS)
def test_nothing_known_of_the_customer_is_in_any_byte(
    place: Place, conn: Any, file_format: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for secret in SECRETS:
        said = f"conversation {secret}" if secret == people.CONVERSATION else secret
        people.draft(conn, **everywhere(said))
    mixed = people.draft(conn, **everywhere(f"{people.NAME} <{people.EMAIL}>, {people.PHONE}, {people.CITY}"))
    done = place.publish(file_format)
    assert done.manifest.rows == len(SECRETS) + 1
    assert done.manifest.known == {"matched": 1, "unmatched": 0, "tables_missing": []}
    folder = Path(done.location)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(files) == {f"data.{file_format}", "manifest.json"}
    if file_format == "parquet":
        # The columns are compressed: what they hold is looked at as text.
        table = pq.read_table(folder / "data.parquet")
        assert table["id"].to_pylist()[-1] == mixed
        files["rows"] = json.dumps(table.to_pylist(), default=str, ensure_ascii=False).encode()
        files["statistics"] = str(pq.read_metadata(folder / "data.parquet").to_dict()).encode()
    said = "".join(capfd.readouterr()) + caplog.text + repr(done)
    for secret in SECRETS:
        for name, content in files.items():
            assert secret.lower() not in content.decode(errors="replace").lower(), (secret, name)
        assert secret.lower() not in said.lower(), secret
    kinds = done.manifest.redactions
    assert min(kinds[kind] for kind in ("name", "email", "phone", "address")) > 0
    assert verify(place.store, done.manifest.version, scratch=place.scratch).problems == ()
    assert place.left() == []


def test_the_three_formats_hold_the_same_rows_and_equal_input_the_same_bytes(place: Place, conn: Any) -> None:
    people.draft(conn, **everywhere(people.NAME))
    people.draft(conn, conversation_id="none", labels=[], rubric={"tone": 4}, meta={}, notes=None)
    people.draft(conn, conversation_id="9", labels=[None, "a"], rubric=None, meta=[1.5, 10**30, True, None], notes="")
    rows_of = {}
    for file_format in FORMATS:
        first = place.publish(file_format, pseudonym_key=KEY)
        elsewhere = open_store(str(place.root / "elsewhere"))
        again = export_training(
            place.url, elsewhere, format=file_format, now=NOW, scratch=place.scratch, pseudonym_key=KEY
        )
        data = Path(first.location, first.manifest.data_file)
        assert data.read_bytes() == Path(again.location, again.manifest.data_file).read_bytes()
        rows_of[file_format] = [row for batch in FORMATS[file_format].read(data) for row in batch]
    assert rows_of["json"] == rows_of["parquet"]
    assert [{**row, "notes": row["notes"] or ""} for row in rows_of["json"]] == rows_of["csv"]
    assert [row["id"] for row in rows_of["json"]] == sorted(row["id"] for row in rows_of["json"])
    last = rows_of["json"][-1]
    assert (last["labels"], last["rubric"], last["meta"]) == ([None, "a"], None, [1.5, 10**30, True, None])
    assert "annotator" not in last
    assert [row["conversation_id"] for row in rows_of["json"]] == list(map(Pseudonyms(KEY).of, ("4711", "none", "9")))
    assert last["created_at"] == "2026-11-19T10:00:00.000000+00:00"


def test_only_safe_drafts_of_the_wanted_time_are_taken(place: Place, conn: Any) -> None:
    safe = people.draft(conn)
    unsafe, unseen = people.draft(conn, safe_to_send=False), people.draft(conn, safe_to_send=None)
    later = people.draft(conn, created_at="2026-11-20T00:00Z", updated_at="2026-11-20T00:00Z")
    midnight = datetime(2026, 11, 20, tzinfo=UTC)

    def ids(**filters: Any) -> list[int]:
        return [row["id"] for row in place.rows(place.publish(filters=Filters(**filters)))]

    assert ids() == [safe, later]
    assert ids(include_unsafe=True) == [safe, unsafe, unseen, later]
    assert ids(until=midnight) == [safe]
    assert ids(since=midnight) == [later]
    with pytest.raises(ExportError, match="none of the 4 drafts passes the filters"):
        place.publish(filters=Filters(since=midnight, until=midnight))


def test_a_table_without_drafts_is_an_error_unless_it_is_expected(place: Place) -> None:
    with pytest.raises(ExportError, match="has no rows"):
        place.publish()
    assert not place.root.exists()
    assert place.publish(allow_empty=True).manifest.rows == 0


def test_the_same_content_again_gives_the_version_that_is_there(place: Place, conn: Any) -> None:
    people.draft(conn)
    first = place.publish(key="secret")
    before = {path: path.read_bytes() for path in place.root.rglob("*") if path.is_file()}
    again = place.publish(now=NOW + timedelta(days=7), key="secret")
    assert (first.is_new, again.is_new) == (True, False)
    assert again.manifest == first.manifest
    assert first.manifest.version.startswith("training_data_20261120_150000-")
    assert {path: path.read_bytes() for path in place.root.rglob("*") if path.is_file()} == before

    people.draft(conn)
    third = place.publish(now=NOW + timedelta(days=7))
    assert third.is_new
    assert versions(place.store) == [first.manifest.version, third.manifest.version]

    # A version that has rotted is no version with the same content.
    data = Path(third.location, "data.json")
    data.write_bytes(data.read_bytes().replace(b"parcel", b"Parcel"))
    mended = place.publish(now=NOW + timedelta(days=14))
    assert mended.is_new
    assert mended.manifest.sha256 == third.manifest.sha256
    # In the second of the broken one the name is taken, and what is there stays.
    Path(mended.location, "manifest.json").unlink()
    with pytest.raises(ExportError, match="holds other content"):
        place.publish(now=NOW + timedelta(days=7))


def test_what_was_published_without_the_key_is_published_again_with_it(place: Place, conn: Any) -> None:
    """Else a key that is set or changed later would never sign anything until a draft changes."""
    people.draft(conn)
    unsigned = place.publish().manifest
    signed = place.publish(key="one", now=NOW + timedelta(days=7))
    assert signed.is_new
    assert verify(place.store, signed.manifest.version, scratch=place.scratch, key="one").is_sound
    assert place.publish(key="one", now=NOW + timedelta(days=8)).manifest == signed.manifest
    assert place.publish(key="two", now=NOW + timedelta(days=9)).is_new
    assert unsigned.version in versions(place.store)


def test_two_spellings_of_a_conversations_number_both_have_its_people(place: Place, conn: Any) -> None:
    for spelling in (people.CONVERSATION, f"0{people.CONVERSATION}"):
        people.draft(conn, conversation_id=spelling, input_text=f"ask {people.LAST} about it")
    assert [row["input_text"] for row in place.rows(place.publish())] == ["ask [NAME_REDACTED] about it"] * 2


def test_an_instant_that_is_none_is_told_in_one_line(place: Place, conn: Any) -> None:
    people.draft(conn, updated_at="infinity")
    with pytest.raises(ExportError, match="created_at or updated_at") as caught:
        place.publish()
    assert "\n" not in str(caught.value)


def test_a_folder_that_only_looks_like_a_version_is_in_nobodys_way(place: Place, conn: Any) -> None:
    people.draft(conn)
    (place.root / "training_data_20269999_250000-0123456789abcdef").mkdir(parents=True)
    assert place.publish().is_new


def test_a_dry_run_says_what_would_be_and_leaves_nothing(place: Place, conn: Any) -> None:
    people.draft(conn, **everywhere(people.EMAIL))
    progress: list[tuple[int, int]] = []
    done = place.publish(dry_run=True, on_progress=lambda *at: progress.append(at))
    assert (done.dry_run, done.is_new, done.manifest.rows) == (True, False, 1)
    assert done.manifest.redactions["email"] > 0
    assert progress == [(1, 1)]
    assert not place.root.exists()
    assert place.left() == []
    assert place.publish().manifest.version == done.manifest.version


def test_the_rows_are_those_of_one_instant(place: Place, conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that come, go and change while the export reads are in it as they were when it began."""
    monkeypatch.setattr(export_rows, "BATCH_ROWS", 2)
    wanted = [people.draft(conn, input_text=f"text {number} of {people.NAME}") for number in range(5)]

    def disturb(done: int, _: int) -> None:
        if done == 2:
            people.draft(conn)
            conn.execute("update agent.agent_feedback set input_text = 'changed', safe_to_send = false where id > 2")
            conn.execute("delete from agent.agent_feedback where id = %s", (wanted[-1],))
            # The people are looked up anew for each batch.
            conn.execute("update raw_chatwoot.contacts set name = 'Otto Weidenbaum'")

    rows = place.rows(place.publish(on_progress=disturb))
    assert [row["id"] for row in rows] == wanted
    assert [row["input_text"] for row in rows] == [f"text {number} of [NAME_REDACTED]" for number in range(5)]


class Blind(Redactor):
    """Replaces nothing; looks again like the real one."""

    def value(self, value: Any) -> tuple[Any, Counter[str]]:
        return value, Counter()


def test_what_is_left_after_redaction_stops_the_export_and_is_not_told(
    place: Place, conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.draft(conn)
    bad = [people.draft(conn, **everywhere(secret)) for secret in (people.EMAIL, people.NAME)]
    monkeypatch.setattr(export, "Redactor", Blind)
    for dry_run in (False, True):
        with pytest.raises(PersonalDataLeft) as caught:
            place.publish(dry_run=dry_run)
        assert f"rows {bad[0]}, {bad[1]} of agent.agent_feedback" in str(caught.value)
        assert "email" in str(caught.value)
        assert "name" in str(caught.value)
        assert not [secret for secret in people.KNOWN if secret.lower() in str(caught.value).lower()]
        assert "\n" not in str(caught.value)
    assert not place.root.exists()
    assert place.left() == []


def test_a_value_is_looked_at_in_every_column_and_key(place: Place, conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate sees one address wherever it is the only one."""
    monkeypatch.setattr(export, "Redactor", Blind)
    secret = "someone@example.org"
    for column, value in {
        "input_text": secret, "model_draft": secret, "notes": secret, "labels": [[secret]],
        "rubric": {"a": [{"b": secret}]}, "meta": {secret: 1},
    }.items():  # fmt: skip
        number = people.draft(conn, **{column: value})
        with pytest.raises(PersonalDataLeft, match=rf"\(email 1\) in rows {number} of"):
            place.publish()
        conn.execute("delete from agent.agent_feedback")


def test_without_raw_tables_the_manifest_says_that_nobody_was_known(warehouse_url: str, tmp_path: Path) -> None:
    place = Place(warehouse_url, tmp_path)
    with connect(warehouse_url, autocommit=True) as conn:
        people.draft(conn)
        people.draft(conn, conversation_id="seed-1")
        done = place.publish()
        assert done.manifest.known["unmatched"] == 2
        assert len(done.manifest.known["tables_missing"]) == 4
        people.raw_tables(conn)
        conn.execute("drop schema raw_shopify cascade")
        people.draft(conn, input_text=f"I am {people.NAME}.")
    done = place.publish()
    assert done.manifest.known == {
        "matched": 1, "unmatched": 1, "tables_missing": ["raw_shopify.customers", "raw_shopify.orders"],
    }  # fmt: skip
    assert people.NAME not in Path(done.location, "data.json").read_text()


def test_every_way_from_a_conversation_to_its_people_is_taken(place: Place, conn: Any) -> None:
    """By the account's number, e-mail or phone; to orders by the account and by the e-mail of a guest; in any store."""

    def contact(number: int, **values: Any) -> None:
        people.insert(conn, "raw_chatwoot.conversations", conversation_id=number, contact_id=number)
        people.insert(conn, "raw_chatwoot.contacts", contact_id=number, **values)

    contact(1, email="One@Example.org")
    people.insert(conn, "raw_shopify.customers", customer_id=1, email="oNE@example.org ", last_name="Onefold")
    people.insert(conn, "raw_shopify.orders", order_id=11, customer_id=1, email="one.other@example.org")
    contact(2, phone="+15550100222")
    people.insert(conn, "raw_shopify.customers", customer_id=2, phone="+15550100222", email="two@example.org")
    people.insert(conn, "raw_shopify.orders", order_id=12, email="TWO@example.org", shipping_city="Twoville")
    contact(3, email="three@example.org")
    people.insert(conn, "raw_shopify.orders", order_id=13, email="Three@example.org", shipping_city="Threetown")
    contact(4, identifier="shopify:4", name=" ")
    people.insert(conn, "raw_shopify.customers", customer_id=4, project_key="other", last_name="Elsewhere")
    people.insert(conn, "raw_chatwoot.conversations", conversation_id=4, contact_id=44, project_key="other")
    people.insert(conn, "raw_chatwoot.contacts", contact_id=44, project_key="other", name="Fourth")
    contact(5)
    with connect(place.url) as reading:
        looked_up = People(reading)
        known = looked_up.of(["1", "2", "3", "4", "5", "6", "seed-1", "9" * 30])
    said = {name: {(entity.kind, entity.value) for entity in entities} for name, entities in known.items()}
    assert said == {
        "1": {
            ("email", "One@Example.org"), ("email", "oNE@example.org"), ("name", "Onefold"),
            ("email", "one.other@example.org"),
        },
        "2": {
            ("phone", "+15550100222"), ("email", "two@example.org"), ("email", "TWO@example.org"), ("city", "Twoville"),
        },
        "3": {("email", "three@example.org"), ("email", "Three@example.org"), ("city", "Threetown")},
        "4": {("id", "shopify:4"), ("name", "Fourth")},
    }  # fmt: skip
    assert (looked_up.matched, looked_up.unmatched) == (4, 4)


def test_a_plain_user_sees_every_row_or_is_told_what_it_lacks(
    server: Any, place: Place, conn: Any, tmp_path: Path
) -> None:
    """Row-level security binds the user; it gets the rows through service_role, or no export at all."""
    people.draft(conn)
    database = conn.info.dbname
    user = f"plain_{os.urandom(4).hex()}"
    conn.execute(f"create role {user} login password 'plain'")
    try:
        url = with_database(place.url, database).replace(place.url.split("//")[1].split("@")[0], f"{user}:plain")
        plain = Place(url, tmp_path)
        with pytest.raises(ExportError, match=f"grant service_role to {user}"):
            plain.publish()
        conn.execute(f"grant service_role to {user}")
        with pytest.raises(ExportError, match=r"raw_chatwoot.conversations, .* cannot be read"):
            plain.publish()
        for schema in ("raw_chatwoot", "raw_shopify"):
            conn.execute(f"grant usage on schema {schema} to {user}")
            conn.execute(f"grant select on all tables in schema {schema} to {user}")
        assert plain.publish().manifest.rows == 1
        assert plain.publish().manifest.known["matched"] == 1
    finally:
        conn.execute(f"drop owned by {user}")
        conn.execute(f"drop role {user}")


@pytest.mark.parametrize(
    "spoiled",
    [
        "alter policy service_all on agent.agent_feedback using (false)",
        "alter policy service_all on agent.agent_feedback using (safe_to_send)",
        "alter policy service_all on agent.agent_feedback to hotdash_retention",
        "create policy narrow on agent.agent_feedback as restrictive for select using (id > 1)",
    ],
)
def test_a_policy_that_could_hide_rows_stops_the_export(place: Place, conn: Any, spoiled: str) -> None:
    people.draft(conn)
    people.draft(conn)
    conn.execute(spoiled)
    with pytest.raises(ExportError, match="row-level security hides drafts"):
        place.publish(allow_empty=True)
    conn.execute("alter table agent.agent_feedback disable row level security")
    assert place.publish().manifest.rows == 2


def test_a_database_without_migrations_is_told_so(empty_database_url: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="hotdash db migrate"):
        Place(empty_database_url, tmp_path).publish()


def test_json_that_is_too_deep_or_too_long_for_python_stops_or_stays_text(place: Place, conn: Any) -> None:
    conn.execute(
        "insert into agent.agent_feedback (conversation_id, input_text, model_draft, safe_to_send, meta) "
        "values ('1', 'a', 'b', true, jsonb_build_object('n', (repeat('9', 5000))::numeric, 'e', 1e400))"
    )
    (row,) = place.rows(place.publish())
    assert row["meta"]["n"] == "9" * 5000
    assert isinstance(row["meta"]["e"], str)
    conn.execute(
        "insert into agent.agent_feedback (conversation_id, input_text, model_draft, safe_to_send, meta) "
        "values ('1', 'a', 'b', true, (repeat('[', 3000) || repeat(']', 3000))::jsonb)"
    )
    with pytest.raises(ExportError, match="nested too deeply"):
        place.publish()


def test_a_lost_connection_exports_nothing(place: Place, conn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_rows, "BATCH_ROWS", 1)
    for _ in range(3):
        people.draft(conn)
    end = (
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid()"
    )
    with pytest.raises(ExportError, match="connection to the warehouse broke"):
        place.publish(on_progress=lambda *_: conn.execute(end))
    assert not place.root.exists()
    assert place.left() == []
    assert list(listed(place.store)) == []
