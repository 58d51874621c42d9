"""The columns of an exported row, the same in every format.

Belongs here: their names, types and meaning, and the spelling of values that formats share. Does not belong here: how a
format writes them.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple


class ExportColumn(NamedTuple):
    """`kind` is the type as manifests name it; `about` is what the UI says."""

    name: str
    kind: str
    about: str
    is_nullable: bool = False


DESCRIBED = (
    ExportColumn("id", "integer", "Number of the draft in agent.agent_feedback."),
    ExportColumn("conversation_id", "text", "Pseudonym of the conversation, the same in every version."),
    ExportColumn("input_text", "text", "What the customer wrote, redacted."),
    ExportColumn("model_draft", "text", "What the model drafted, redacted."),
    ExportColumn("safe_to_send", "boolean", "The reviewer's verdict.", is_nullable=True),
    ExportColumn("labels", "list of text", "The reviewer's labels, redacted.", is_nullable=True),
    ExportColumn("rubric", "json", "The reviewer's marks, redacted.", is_nullable=True),
    ExportColumn("notes", "text", "The reviewer's notes, redacted.", is_nullable=True),
    ExportColumn("meta", "json", "What the agent added, redacted.", is_nullable=True),
    ExportColumn("created_at", "instant", "When the draft was written."),
    ExportColumn("updated_at", "instant", "When the draft last changed."),
)
# Types by name, in the order of the files.
COLUMNS: Mapping[str, str] = {column.name: column.kind for column in DESCRIBED}


def json_text(value: Any) -> str:
    """JSON on one line, in the characters themselves."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def plain(value: Any) -> Any:
    """The value as JSON has it."""
    return value.isoformat(timespec="microseconds") if hasattr(value, "isoformat") else value
