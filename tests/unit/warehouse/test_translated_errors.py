"""SQLSTATE codes sorted into errors that a retry mends and errors that need a person."""

import pytest

from hotdash_pipelines.warehouse.loading.errors import LoadError, TransientLoadError, _translated


def refused(state: str | None, message: str) -> Exception:
    """What ADBC raises: a state beside the whole text of the server."""
    error = RuntimeError(message)
    error.sqlstate = state
    return error


@pytest.mark.parametrize(
    ("state", "is_transient"),
    [
        ("53100", False),
        ("53300", True),
        ("57P01", True),
        ("57P03", True),
        ("08006", True),
        (None, True),
        ("00000", True),
        ("40001", True),
        ("40P01", True),
        ("55P03", True),
        ("42501", False),
        ("42P01", False),
        ("23502", False),
        ("22P02", False),
    ],
)
def test_only_what_passes_by_itself_is_transient(state: str | None, is_transient: bool) -> None:
    error = _translated(
        "shopify/orders 2025-03-01", refused(state, "ERROR:  jane@example.com\nDETAIL: jane@example.com"), "10min"
    )
    assert isinstance(error, LoadError)
    assert isinstance(error, TransientLoadError) is is_transient
    assert str(error).startswith("shopify/orders 2025-03-01: ")
    assert "\n" not in str(error)


@pytest.mark.parametrize("state", ["22P02", "23502", "23514"])
def test_errors_about_values_never_quote_them(state: str) -> None:
    error = _translated(
        "s/t k", refused(state, 'ERROR:  invalid input: "jane@example.com"\nDETAIL: jane@example.com'), "10min"
    )
    assert "jane" not in str(error)
