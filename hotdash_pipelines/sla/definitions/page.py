"""The table of types on docs/slas.md, written from their records.

Belongs here: its rows and where it stands. Does not belong here: the prose around it, writing the file (cli/docs.py).
"""

from collections.abc import Iterable

from hotdash_pipelines.sla.definitions.kinds import SlaType

BEGIN, END = "<!-- types: written by `make docs` -->", "<!-- end of types -->"
_PROMISES = {"deadline": "there by a time of day", "age": "not older than", "level": "a number"}
_SIDES = {"at_most": ", at most", "at_least": ", at least", None: ", either way"}


def with_types(page: str, types: Iterable[SlaType]) -> str:
    """The page with its table of `types`. Raises ValueError for a page without the place of one."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    order = list(_PROMISES)
    rows = [_row(sla_type) for sla_type in sorted(types, key=lambda known: (order.index(known.kind), known.name))]
    head = "| type | promise | unit | `params` | what is looked at |\n|---|---|---|---|---|\n"
    return f"{before}{BEGIN}\n{head}" + "\n".join(rows) + f"\n{END}{after}"


def _row(sla_type: SlaType) -> str:
    promise = _PROMISES[sla_type.kind] + (_SIDES[sla_type.comparison] if sla_type.kind == "level" else "")
    params = (f"`{param.name}`" if param.is_needed else f"[`{param.name}`]" for param in sla_type.params)
    cells = (f"`{sla_type.name}`", promise, ", ".join(sla_type.units), " ".join(params), sla_type.looks_at)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
