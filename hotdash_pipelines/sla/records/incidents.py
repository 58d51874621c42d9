"""Incidents: violations that belong together, what they touch downstream, how severe that makes them.

Belongs here: severity from impact, the rows of ops.incidents and ops.incident_events. Does not belong here: which
violations belong together (the engine's incident key), reading them for people (history.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.sla.definitions.model import Severity, worst
from hotdash_pipelines.sla.engine.state import Event
from hotdash_pipelines.sla.records.promises import Promise

if TYPE_CHECKING:
    import psycopg

# From how many things downstream on an incident is at least so severe. Critical is never a matter of counting.
_MANY_TILES, _MANY_ASSETS = 5, 20


@dataclass(frozen=True, slots=True)
class Impact:
    """What is made from a dataset: assets and dashboard tiles downstream, by name."""

    assets: tuple[str, ...] = ()
    tiles: tuple[str, ...] = ()

    def __or__(self, other: "Impact") -> "Impact":
        """Everything that either touches, each once."""
        return Impact(
            tuple(sorted({*self.assets, *other.assets})),
            tuple(sorted({*self.tiles, *other.tiles})),
        )

    @property
    def severity(self) -> Severity:
        """How severe it is by its size: high from 5 tiles or 20 assets on, medium from the first tile on."""
        if len(self.tiles) >= _MANY_TILES or len(self.assets) >= _MANY_ASSETS:
            return "high"
        return "medium" if self.tiles else "low"


NOTHING = Impact()


def severity_of(violations: Iterable[Severity], impact: Impact) -> Severity:
    """The severity of an incident: that of its worst violation, raised by how much is downstream."""
    return worst(impact.severity, *violations)


class Incidents:
    """The incidents that one transaction touches."""

    def __init__(self, conn: "psycopg.Connection[Any]", impact: Mapping[str, Impact]) -> None:
        self._conn = conn
        self._impact = impact
        self._ids: dict[str, int] = {}

    def number(self, key: str, event: Event, promise: Promise) -> int:
        """The row of an incident, made from its first event when it is new."""
        if key not in self._ids:
            impact = self._impact.get(promise.dataset, NOTHING)
            made = self._conn.execute(
                """
                insert into ops.incidents (
                    incident_key, title, root_dataset, root_sla, owner, runbook, severity, opened_at, affected_assets,
                    affected_tiles
                ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                on conflict (incident_key) do update set incident_key = excluded.incident_key
                returning incident_id
                """,
                (
                    key, event.message, promise.dataset, event.sla, promise.owner, promise.runbook,
                    severity_of([event.severity], impact), event.at, list(impact.assets), list(impact.tiles),
                ),
            ).fetchall()  # fmt: skip
            ((self._ids[key],),) = made
        return self._ids[key]

    def note(self, incident_id: int, violation_id: int | None, event: Event, by_whom: str | None = None) -> None:
        """Put an event into the timeline; one that stands there already is left as it is."""
        self._conn.execute(
            """
            insert into ops.incident_events
                (incident_id, violation_id, kind, level, severity, message, by_whom, is_silent, happened_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (violation_id, kind, level) do nothing
            """,
            (
                incident_id, violation_id, event.kind, event.level, event.severity, event.message, by_whom or event.by,
                event.silent, event.at,
            ),
        )  # fmt: skip

    def settle(self, now: datetime) -> dict[int, Severity]:
        """Bring severity, impact and end of every incident that is open, or was touched, up to its violations.

        Returns the severities. Neither severity nor impact ever shrinks: they tell what the incident was.
        """
        rows = self._conn.execute(
            """
            select
                i.incident_id, i.severity, i.affected_assets, i.affected_tiles, i.resolved_at,
                coalesce(array_agg(distinct s.dataset_name) filter (where s.sla_id is not null), '{}'),
                coalesce(array_agg(distinct v.impact_severity) filter (where v.violation_id is not null), '{}'),
                coalesce(bool_or(v.resolved_at is null) filter (where v.violation_id is not null), false)
            from ops.incidents i
            left join ops.sla_violations v using (incident_id)
            left join ops.data_slas s using (sla_id)
            where i.resolved_at is null or i.incident_id = any(%s)
            group by i.incident_id
            """,
            (list(self._ids.values()),),
        ).fetchall()
        settled: dict[int, Severity] = {}
        for number, severity, assets, tiles, resolved_at, datasets, severities, is_open in rows:
            known = Impact(tuple(assets), tuple(tiles))
            impact = known
            for dataset in datasets:
                impact |= self._impact.get(dataset, NOTHING)
            settled[number] = severity_of([severity, *severities], impact)
            end = None if is_open else resolved_at or now
            if (settled[number], impact, end) != (severity, known, resolved_at):
                self._conn.execute(
                    """
                    update ops.incidents
                    set severity = %s, affected_assets = %s, affected_tiles = %s, resolved_at = %s
                    where incident_id = %s
                    """,
                    (settled[number], list(impact.assets), list(impact.tiles), end, number),
                )
        return settled


def remark(conn: "psycopg.Connection[Any]", incident_id: int, text: str, by_whom: str, now: datetime) -> None:
    """Put what a person has to say into an incident's timeline."""
    conn.execute(
        """
        insert into ops.incident_events (incident_id, kind, severity, message, by_whom, happened_at)
        select incident_id, 'remark', severity, %s, %s, %s from ops.incidents where incident_id = %s
        """,
        (text, by_whom, now, incident_id),
    )
