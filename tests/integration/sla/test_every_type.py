"""Every type of SLA goes the whole way, and what fails in one costs nothing of the others and is named."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hotdash_pipelines.alerts import SlackDestination, deliver_pending
from hotdash_pipelines.cli import app
from hotdash_pipelines.demo.testing import start_stand_in
from hotdash_pipelines.services import sla_notices, slas
from hotdash_pipelines.settings import Settings, get_settings
from hotdash_pipelines.sla import sla_types
from hotdash_pipelines.sla.definitions import kinds
from hotdash_pipelines.sla.engine import verdict
from hotdash_pipelines.sla.records.heartbeat import failures
from hotdash_pipelines.sla.records.store import Applied
from tests.integration.sla.breaking import FACTS, NOW, broken_definitions, plant_all
from tests.integration.sla.kept import Conn, column, rows
from tests.unit.sla.story import sla

DEFINITIONS = broken_definitions()
NAMES = [definition.name for definition in DEFINITIONS]
# In an order that their references allow. What was planted in the outbox stays.
_KEPT = (
    "alert_outbox where violation_id is not null",
    "incident_events",
    "sla_violations",
    "incidents",
    "sla_state",
    "data_slas",
    "heartbeats where name = 'sla_evaluation'",
)


class Turns:
    """Whole turns of the evaluation over an SLA of every type, all of them broken."""

    def __init__(self, conn: Conn, url: str, patch: pytest.MonkeyPatch) -> None:
        self.conn, self.url, self.settings = conn, url, Settings()
        patch.setattr(slas, "promised", lambda: DEFINITIONS)
        plant_all(conn)

    def turn(self) -> Applied:
        """One turn at NOW."""
        return slas.take_turn(self.settings, self.url, lambda _wanted: FACTS, {}, {}, NOW)

    def anew(self) -> None:
        """Forget what was judged and told."""
        for kept in _KEPT:
            self.conn.execute(f"delete from ops.{kept}".encode())

    def texts(self) -> dict[str, str]:
        """The message about each SLA."""
        query = """
            select broken.sla_name, told.payload::text
            from ops.alert_outbox as told join ops.sla_violations as broken using (violation_id)
        """
        return dict(rows(self.conn, query))

    def only_failed(self, name: str, reason: str) -> None:
        """Nothing but one piece of one SLA failed, and that is named in the heartbeat and on the SLA."""
        assert failures(self.conn) == (f"{name}: {reason}",)
        told = dict(rows(self.conn, "select sla_name, message from ops.sla_state"))
        assert [known for known, message in told.items() if reason in message] == [name]
        assert set(told) == set(NAMES)


@pytest.fixture
def turns(warehouse: Conn, warehouse_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Turns]:
    monkeypatch.setenv("HOTDASH_HOME", str(tmp_path))
    monkeypatch.setenv("HOTDASH_PROJECT_KEY", "toy")
    monkeypatch.setenv("HOTDASH_DATABASE_URL", warehouse_url)
    monkeypatch.setenv("HOTDASH_FIXED_NOW", NOW.isoformat())
    get_settings.cache_clear()
    yield Turns(warehouse, warehouse_url, monkeypatch)
    get_settings.cache_clear()


def mistaken(*_: object, **__: object) -> Any:
    raise ZeroDivisionError("ann@example.com")


class Unspeakable(str):
    """A title that fails where it is put into a text."""

    __slots__ = ()

    def __format__(self, _form: str) -> str:
        return mistaken()


def test_every_type_is_observed_broken_worded_and_delivered(turns: Turns) -> None:
    done = turns.turn()
    assert done.warnings == ()
    assert done.tick is not None
    standings = {name: (verdict.state, verdict.reason) for (name, _), verdict in done.tick.verdicts.items()}
    assert standings == dict.fromkeys(NAMES, ("breach", ""))
    assert set(column(turns.conn, "select sla_name from ops.data_observations")) == set(NAMES)
    with start_stand_in(scale=0.001, now=NOW) as slack:
        to = SlackDestination(
            bot_token=slack.credentials["slack_bot_token"], api_url=f"{slack.url}/slack/api/", channel="#alerts"
        )
        assert deliver_pending(turns.conn, to, NOW).sent == len(NAMES)
        posts = [f"{post['text']} {post['blocks']}" for post in slack.world.extra["slack"].posts("#alerts")]
    for sla_type in sla_types():
        (post,) = [text for text in posts if f"SLA*\\n`{sla_type.name}`" in text]
        assert sla_type.title in post


@pytest.mark.parametrize("name", NAMES)
def test_a_promise_of_every_type_reads_in_a_few_words(name: str) -> None:
    from hotdash_pipelines.cli.sla.view import promise

    (definition,) = [known for known in DEFINITIONS if known.name == name]
    assert promise(definition, Settings().zone)


def test_an_observer_that_fails_costs_its_own_sla(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    for sla_type in sla_types():
        turns.anew()
        with monkeypatch.context() as patch:
            patch.setitem(kinds._types, sla_type.name, replace(sla_type, observer=mistaken))
            done = turns.turn()
        assert done.tick is not None
        states = {name: verdict.state for (name, _), verdict in done.tick.verdicts.items()}
        assert states == {name: "unknown" if name == sla_type.name else "breach" for name in NAMES}
        turns.only_failed(sla_type.name, "its observer failed (ZeroDivisionError)")
        assert set(turns.texts()) == set(NAMES) - {sla_type.name}


def test_a_title_that_fails_costs_its_message_the_title(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    for sla_type in sla_types():
        turns.anew()
        with monkeypatch.context() as patch:
            patch.setitem(kinds._types, sla_type.name, replace(sla_type, title=Unspeakable(sla_type.title)))
            turns.turn()
        turns.only_failed(sla_type.name, "its title could not be worded (ZeroDivisionError)")
        texts = turns.texts()
        assert "a promise was broken" in texts[sla_type.name]
        assert [known.name for known in sla_types() if known.title in texts[known.name]] == [
            name for name in NAMES if name != sla_type.name
        ]


def test_a_message_that_fails_goes_out_in_plain_words(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    word = sla_notices.violation_alerts
    for sla_type in sla_types():
        turns.anew()
        with monkeypatch.context() as patch:
            patch.setattr(
                sla_notices,
                "violation_alerts",
                lambda news, links, name=sla_type.name: mistaken() if news.sla == name else word(news, links),
            )
            turns.turn()
        turns.only_failed(sla_type.name, "its message could not be worded (ZeroDivisionError)")
        texts = turns.texts()
        assert f"SLA {sla_type.name} opened" in texts[sla_type.name]
        assert "ann@example.com" not in texts[sla_type.name]
        assert [known.name for known in sla_types() if known.title in texts[known.name]] == [
            name for name in NAMES if name != sla_type.name
        ]


def test_a_verdict_that_cannot_be_worded_stands_all_the_same(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    word = verdict.told
    for sla_type in sla_types():
        turns.anew()
        with monkeypatch.context() as patch:
            patch.setattr(
                verdict,
                "told",
                lambda judged, name=sla_type.name: mistaken() if judged.definition.type == name else word(judged),
            )
            turns.turn()
        turns.only_failed(sla_type.name, "its verdict could not be worded (ZeroDivisionError)")
        assert set(turns.texts()) == set(NAMES)


def test_a_message_that_the_server_refuses_costs_no_other_and_stays_known(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = sla_notices.violation_alerts

    def shouted(news: Any, links: Any) -> Any:
        alerts = word(news, links)
        return tuple(replace(alert, action="shout") for alert in alerts) if news.sla == "sql" else alerts

    with monkeypatch.context() as patch:
        patch.setattr(sla_notices, "violation_alerts", shouted)
        turns.turn()
    turns.only_failed("sql", "its message could not be worded (CheckViolation)")
    assert set(turns.texts()) == set(NAMES)
    said = column(turns.conn, "select message from ops.incident_events where kind = 'remark' and by_whom = 'hotdash'")
    assert said == ["its message could not be worded (CheckViolation)"]
    shown = CliRunner().invoke(app, ["sla", "status"])
    assert "hotdash: sql: its message could not be worded (CheckViolation)" in shown.stderr

    slas.take_turn(turns.settings, turns.url, lambda _wanted: FACTS, {}, {}, NOW.replace(minute=1))
    assert failures(turns.conn) == ()
    kept = column(turns.conn, "select details -> 'last_failed' from ops.heartbeats where name = 'sla_evaluation'")
    assert kept == [{"at": NOW.isoformat(), "what": ["sql: its message could not be worded (CheckViolation)"]}]


def test_one_sla_that_its_observer_cannot_bear_costs_no_other_of_the_type(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    sick = sla("sick", "sql", dataset="toy/sick", comparison="at_most")
    monkeypatch.setattr(slas, "promised", lambda: (*DEFINITIONS, sick))
    done = turns.turn()
    assert done.tick is not None
    assert done.tick.verdicts["sql", ""].state == "breach"
    assert done.tick.verdicts["sick", ""].reason == "its observer failed (KeyError)"
    assert failures(turns.conn) == ("sick: its observer failed (KeyError)",)


@pytest.mark.parametrize("value", ["many", object()])
def test_what_no_one_can_judge_costs_its_own_verdict(
    turns: Turns, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    from hotdash_pipelines.sla import Observation

    def odd(definitions: Any, _looking: Any) -> list[Observation]:
        return [Observation(definition.name, value=value) for definition in definitions]  # type: ignore[arg-type]

    monkeypatch.setitem(kinds._types, "sql", replace(kinds.sla_type("sql"), observer=odd))
    done = turns.turn()
    assert done.tick is not None
    assert [name for (name, _), verdict in done.tick.verdicts.items() if verdict.state != "breach"] == ["sql"]
