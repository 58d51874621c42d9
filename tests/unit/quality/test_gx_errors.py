"""How GX reports errors: one flat record when all went well, a record for each metric when something raised."""

from hotdash_pipelines.quality.run import raised_errors

FINE = {"raised_exception": False, "exception_traceback": None, "exception_message": None}


def raised(message: str) -> dict[str, object]:
    return {"raised_exception": True, "exception_traceback": "Traceback ...", "exception_message": message}


def test_a_flat_record_without_an_error_is_no_error() -> None:
    assert raised_errors(FINE) == []
    assert raised_errors(None) == []
    assert raised_errors({}) == []


def test_a_flat_record_of_an_error_is_an_error() -> None:
    assert raised_errors(raised("KeyError: 'x'")) == ["KeyError"]


def test_records_keyed_by_metric_are_read() -> None:
    message = '(psycopg2.errors.InvalidTextRepresentation) invalid input syntax for type numeric: "anna@example.com"'
    keyed = {"metric one": raised(message), "metric two": raised(message), "metric three": FINE}
    assert raised_errors(keyed) == ["InvalidTextRepresentation"]


def test_the_text_of_an_error_is_never_passed_on() -> None:
    assert raised_errors({"metric": raised("Anna (anna@example.com) broke it")}) == ["an error"]
