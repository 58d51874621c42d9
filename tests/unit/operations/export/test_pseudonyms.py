"""Pseudonyms are the same as long as the key is, say nothing about the conversation, and replace it in texts."""

import threading
from pathlib import Path

import pytest

from hotdash_pipelines.operations.export.errors import ExportError
from hotdash_pipelines.operations.export.pseudonyms import Pseudonyms, pseudonym_key

NAMES = Pseudonyms(b"k" * 32)


def test_a_pseudonym_follows_from_key_and_conversation() -> None:
    assert NAMES.of("4711") == Pseudonyms(b"k" * 32).of("4711") == "c-caekofgnklpppdfcpbojbccghdnofdhn"
    assert len({NAMES.of(str(number)) for number in range(500)} | {Pseudonyms(b"l" * 32).of("4711")}) == 501
    assert Pseudonyms.SHAPE.fullmatch(NAMES.of("seed-1"))
    assert NAMES.key_id != Pseudonyms(b"l" * 32).key_id
    assert b"k" * 4 not in NAMES.key_id.encode()


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("see conversation #4711 please", "see conversation #{4711} please"),
        ("Ticket no. 12 and chat id: 13", "Ticket no. {12} and chat id: {13}"),
        (
            "https://chat.example/app/accounts/1/conversations/4711",
            "https://chat.example/app/accounts/1/conversations/{4711}",
        ),
        ("conversation_id=4711", "conversation_id={4711}"),
        ("order 4711 of 4711 pieces", "order 4711 of 4711 pieces"),
        ("a conversation about 3 shirts", "a conversation about 3 shirts"),
        ("our conversation 3 days ago, and conversation 4712", "our conversation 3 days ago, and conversation {4712}"),
        ("in that case 2 tickets 3 times", "in that case 2 tickets 3 times"),
    ],
)
def test_conversations_named_in_a_text_are_replaced(text: str, replaced: str) -> None:
    wanted = replaced
    for number in ("4711", "4712", "12", "13"):
        wanted = wanted.replace(f"{{{number}}}", NAMES.of(number))
    assert NAMES.in_text(text, "4711") == wanted


def test_a_name_that_is_no_number_is_replaced_wherever_it_stands() -> None:
    assert (
        NAMES.in_text("of conv-abc-7, not conv-abc-77", "conv-abc-7") == f"of {NAMES.of('conv-abc-7')}, not conv-abc-77"
    )
    assert NAMES.in_text("a test", "a") == "a test"


def test_conversations_in_json_are_replaced_in_keys_and_below_keys_that_say_so() -> None:
    value = {
        "conversation_id": 4711,
        "conversationId": "4711",
        "before": [{"display_id": 12, "rubric": 12, "conversation": True}],
        "conversation #12": "ticket id 13",
    }
    assert NAMES.in_json(value, "4711") == {
        "conversation_id": NAMES.of("4711"),
        "conversationId": NAMES.of("4711"),
        "before": [{"display_id": NAMES.of("12"), "rubric": 12, "conversation": True}],
        f"conversation #{NAMES.of('12')}": f"ticket id {NAMES.of('13')}",
    }


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(pseudonym_key(home, None))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len({*keys, pseudonym_key(home, None)}) == 1
    assert len(keys[0]) == 64
    assert (home / "export.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["export.key"]


def test_keys_that_are_short_or_open_to_others_are_refused(tmp_path: Path) -> None:
    assert pseudonym_key(tmp_path, "0123456789abcdef") == b"0123456789abcdef"
    with pytest.raises(ExportError, match="HOTDASH_EXPORT_KEY is shorter than 16"):
        pseudonym_key(tmp_path, "0123456789abcde")
    pseudonym_key(tmp_path, None)
    (tmp_path / "export.key").chmod(0o640)
    with pytest.raises(ExportError, match="chmod 600"):
        pseudonym_key(tmp_path, None)
    (tmp_path / "export.key").chmod(0o600)
    (tmp_path / "export.key").write_text("")
    with pytest.raises(ExportError, match="shorter than 16"):
        pseudonym_key(tmp_path, None)
