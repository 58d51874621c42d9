"""What is shown of a statement holds no values, and what a policy compares is read rightly."""

import pytest

from hotdash_pipelines.warehouse.advice.indexes import _is_compared
from hotdash_pipelines.warehouse.advice.queries import without_values


@pytest.mark.parametrize(
    "text, shown",
    [
        ("select *\n  from t\n where a = $1 and b2 = 42", "select * from t where a = $1 and b2 = ?"),
        ("select 'it''s', E'a\\'b', $$x$$, $q$y ' z$q$ from t", "select ?, ?, ?, ? from t"),
        ("select 1.5e3, -7, col1, \"Odd '1'\" /* jane's */ from t -- o'clock\n where true", None),
        ("select 'never closed secret", "select ?"),
        ("select $tag$ never closed secret", "select ?"),
        ("select 1 /* never closed secret", "select ?"),
    ],
)
def test_no_constant_and_no_comment_is_shown(text: str, shown: str | None) -> None:
    expected = shown or "select ?, -?, col1, \"Odd '1'\" from t where true"
    assert without_values(text) == expected


def test_a_long_text_is_cut() -> None:
    assert len(without_values("select " + ", ".join(f"column_{n}" for n in range(100)))) == 200


@pytest.mark.parametrize(
    "expression, is_compared",
    [
        ("(project = ( SELECT app.claim_project() AS claim_project))", True),
        ("(( SELECT app.claim_project() AS claim_project) = project)", True),
        ("((project)::text = app.claim_project())", True),
        ("(lower(project) = app.claim_project())", False),
        ("(project = 'shop'::text)", False),
        ("(project = ANY (ARRAY['a'::text, 'b'::text]))", False),
        ("(other_project = app.claim_project())", False),
        ("(app.claim_project() = lower(project))", False),
        ("true", False),
    ],
)
def test_only_a_bare_column_beside_something_that_varies_counts(expression: str, is_compared: bool) -> None:
    assert _is_compared("project", expression) is is_compared
