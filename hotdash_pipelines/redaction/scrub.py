"""Text that others wrote, fit to be shown.

Belongs here: the one line of an error without personal data and secrets. Does not belong here: tokens in the place of
what is personal (redactor.py).
"""

import re

_REASON_LENGTH = 300

_REMOVED = (
    # Postgres quotes the values it could not take: `...: "value"` and `Key (column)=(value)`.
    (re.compile(r":\s*\"[^\"]*\""), ": (value)"),
    (re.compile(r"=\([^)]*\)"), "=(value)"),
    (re.compile(r"https?://hooks\.slack\.com/\S+"), "(webhook)"),
    (re.compile(r"(\w+://)[^\s/@]+@"), r"\1(credentials)@"),
    (re.compile(r"[^\s@<>\"(),;:=]+@[^\s@<>\"'(),;:=]+\.\w+"), "(e-mail)"),
    (re.compile(r"\b(shp[a-z]{2}_|xox[a-z]-|ghp_|sk-)\S+"), "(token)"),
    (re.compile(r"(?i)\b(bearer|basic)\s+\S+"), r"\1 (token)"),
    (re.compile(r"(?i)\b(password|passwd|secret|token|api_key|apikey|access_key)(\s*[=:]\s*)\S+"), r"\1\2(secret)"),
    (re.compile(r"\b[A-Za-z0-9+/_]{32,}={0,2}"), "(token)"),
    (re.compile(r"\+\d[\d\s().-]{7,}\d"), "(phone)"),
)


def safe_line(text: str) -> str:
    """The first line of `text` without e-mail addresses, phone numbers, credentials, tokens and quoted values.

    At most 300 characters. Rooms of this project write such errors anyway; this is for the errors of others.
    """
    # Neither Postgres nor a channel takes NUL, or what no UTF-8 can spell.
    line = text.replace("\x00", "").encode("utf-8", "replace").decode().strip().partition("\n")[0]
    for pattern, replacement in _REMOVED:
        line = pattern.sub(replacement, line)
    return line if len(line) <= _REASON_LENGTH else f"{line[: _REASON_LENGTH - 1]}…"
