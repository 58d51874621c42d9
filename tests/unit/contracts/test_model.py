"""Contract files: what is refused, and that the error names file and entry."""

from pathlib import Path

import pytest

from hotdash_pipelines.contracts import ContractError, load_contract, load_contracts
from hotdash_pipelines.contracts.arrow import page_schema, table_schema
from hotdash_pipelines.contracts.model import CONTRACTS_DIR

GOOD = """
source: desk
stream: tickets
version: 1
owner: team:support
semantics: updated
cursor: updated_at
description: One row is one ticket.
records: payload.items
key: [ticket_id]
fields:
  ticket_id: {type: int64, path: id, nullable: false, description: "Number."}
  updated_at: {type: timestamp, path: updatedAt, nullable: false, description: "Last change."}
  price: {type: "decimal(18,4)", path: price.amount, description: "Price."}
children:
  notes:
    description: One row is one note.
    records: notes
    key: [note_id]
    fields:
      note_id: {type: int64, path: id, nullable: false, description: "Number."}
    children:
      likes:
        description: One row is one like.
        records: likes
        key: [note_id, person]
        fields:
          person: {type: string, path: who, nullable: false, description: "Who."}
"""


def _load(folder: Path, text: str, name: str = "tickets"):
    path = folder / "desk" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return load_contract(path)


def test_children_inherit_the_keys_of_all_their_parents(tmp_path: Path) -> None:
    contract = _load(tmp_path, GOOD)
    assert [table.name for table in contract.tables] == ["tickets", "notes", "likes"]
    assert {table.name: table.column_names for table in contract.tables} == {
        "tickets": ("ticket_id", "updated_at", "price"),
        "notes": ("ticket_id", "note_id"),
        "likes": ("ticket_id", "note_id", "person"),
    }
    likes = contract.tables[2]
    assert contract.parent_of("likes") == contract.tables[1]
    assert contract.parent_of("tickets") is None
    assert contract.field_of(likes, "ticket_id").description == "Number."
    with pytest.raises(KeyError):
        contract.field_of(likes, "nobody")
    assert not table_schema(contract, likes).field("note_id").nullable


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            'path: id, nullable: false, description: "Number."}',
            'path: id, nulable: false, description: "N"}',
            "table.fields.ticket_id.nulable: Extra inputs",
        ),
        (
            "{type: string, path: who,",
            "{type: string, path: who, pii: emial,",
            "table.children.notes.children.likes.fields.person.pii: Input should be",
        ),
        (
            "type: timestamp",
            "type: timestmap",
            "table.fields.updated_at: Value error, field updated_at: unknown type 'timestmap'",
        ),
        ("decimal(18,4)", "decimal(18)", r"unknown type 'decimal\(18\)'"),
        ("path: price.amount,", 'path: "price[x]",', "table.fields.price.path: String should match"),
        ("path: price.amount,", 'path: "price..amount",', "table.fields.price.path: String should match"),
        ("path: price.amount,", "path: price.amount, encoding: epoch,", "table.fields.price.encoding: Input should be"),
        ("  price:", "  Price:", "table.fields.Price.name: String should match"),
        ("owner:", "owmer:", "owner: Field required"),
        ("source: desk\n", "", "source: Field required"),
        ("semantics: updated", "semantics: update", "semantics: Input should be 'updated'"),
        ("key: [ticket_id]", "key: [tiket_id]", r"key of tickets names unknown fields \['tiket_id'\]"),
        ("key: [note_id, person]", "key: [person_id]", r"key of likes names unknown fields \['person_id'\]"),
        ("cursor: updated_at", "cursor: updatet_at", "cursor 'updatet_at' is not a field of tickets"),
        ("semantics: updated\ncursor: updated_at", "semantics: snapshot\ncursor: nope", "cursor 'nope' is not a field"),
        ("cursor: updated_at\n", "", "cursor None is not a field of tickets"),
        (
            "{type: string, path: who, nullable: false,",
            "{type: string, path: who,",
            r"key fields of likes must be nullable: false: \['person'\]",
        ),
        ("  price:", "  updated_at:", "line 12: updated_at is given twice"),
        ("version: 1\n", "version: 1\nversion: 2\n", "version is given twice"),
        ("key: [ticket_id]", "key: [ticket_id", "line 1[0-9]: did not find expected"),
        ("children:\n  notes:", "children:\n  - notes:", "fields and children must be mappings|did not find expected"),
    ],
)
def test_a_typo_is_refused_by_file_and_entry_in_one_line(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert before in GOOD
    with pytest.raises(ContractError, match=rf"^desk/tickets.yaml: .*({said})") as caught:
        _load(tmp_path, GOOD.replace(before, after, 1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "just text", "a: 1"])
def test_a_file_that_is_no_contract_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ContractError, match=r"^desk/tickets.yaml: "):
        _load(tmp_path, text)


def test_a_file_under_another_name_than_its_stream_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"desk/issues.yaml: file name and source/stream disagree"):
        _load(tmp_path, GOOD, name="issues")


def test_every_contract_of_the_package_has_schemas_descriptions_and_an_owner() -> None:
    contracts = load_contracts()
    assert len(contracts) == len(list(CONTRACTS_DIR.glob("*/*.yaml"))) >= 10
    for contract in contracts:
        assert page_schema(contract).names
        assert contract.owner.startswith("team:")
        for table in contract.tables:
            assert table.description.endswith(".")
            assert all(field.description.endswith(".") or field.description.endswith("...") for field in table.fields)
            assert table_schema(contract, table).names == list(table.column_names)


def test_no_two_streams_of_a_source_fill_the_same_table() -> None:
    names = [(contract.source, table.name) for contract in load_contracts() for table in contract.tables]
    assert len(names) == len(set(names))


def test_the_digest_follows_the_file(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = _load(tmp_path, GOOD)
    second = _load(tmp_path / "other", GOOD + "# a comment\n")
    assert first.digest != second.digest
