"""Who may do what with the support agent's tables, declared once.

Belongs here: the roles, the claims, and each table, view and function with the rules on it. Does not belong here: the
SQL that follows from it (sql.py), the page (page.py). The migrations, docs/access.md and the test matrix
follow from this file: run `hotdash docs` after a change of what is not released yet; else write a new migration.
"""

from dataclasses import dataclass
from typing import Literal

Verb = Literal["select", "insert", "update", "delete"]
VERBS: tuple[Verb, ...] = ("select", "insert", "update", "delete")

ROLES = {
    "anon": "nobody in particular: may ask whether the database answers",
    "authenticated": "a signed-in tenant: the rows of the own claims",
    "annotator": "marks drafts in agent_feedback",
    "qa_team": "reads drafts, queries and the queue",
    "operator": "reviews queries; reads what operator_readonly reads",
    "operator_readonly": "reads queries, the queue, decisions and logs",
    "monitoring_team": "reads queries, the queue, decisions and logs",
    "ai_readonly": "reads facts and curated replies of every project, to learn from",
    "webhook_writer": "adds curated replies and reads nothing",
    "service_role": "the agent's own software, and the pipeline where its user is no superuser",
    "hotdash_retention": "deletes what is too old, audit tables included",
    "hotdash_backup": "reads every row (BYPASSRLS) and writes none",
    "hotdash_api": "signs in for the API; has no right until it becomes one of the roles it belongs to",
}
SERVICE = "service_role"
RETENTION = "hotdash_retention"
BACKUP = "hotdash_backup"
# May never see the rows of another tenant, so no plain or materialised view is theirs.
TENANTS = ("anon", "authenticated")
OPERATORS = ("operator", "operator_readonly", "monitoring_team")
# Everybody who reads live figures.
READERS = ("authenticated", "annotator", "qa_team", *OPERATORS, SERVICE)

# Claim of the verified token -> session variable that stands in where the token has no such claim.
CLAIMS = {
    "project": "app.current_project",
    "scope": "app.current_scope",
    "request_id": "app.request_id",
    "conversation_id": "app.conversation_id",
}


@dataclass(frozen=True)
class Rows:
    """Which rows: all of them, those whose `column` equals the claim of its name, or those with one of `values`."""

    column: str | None = None
    values: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        """Whether the rows are those of the reader's own claim."""
        return self.column is not None and not self.values


EVERY_ROW = Rows()


def own(column: str) -> Rows:
    """The rows whose `column` equals the claim of the same name."""
    return Rows(column)


def one_of(column: str, *values: str) -> Rows:
    """The rows whose `column` has one of `values`."""
    return Rows(column, values)


@dataclass(frozen=True)
class AccessRule:
    """One permissive policy and the grants that go with it.

    `verb` is the policy's command; for "all" the grants are `grants`, which may be fewer. `columns` narrows UPDATE for
    the roles that may not update the whole row anyway.
    """

    name: str
    verb: Literal["select", "insert", "update", "delete", "all"]
    roles: tuple[str, ...]
    rows: Rows = EVERY_ROW
    grants: tuple[Verb, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def granted(self) -> tuple[Verb, ...]:
        """The verbs that the roles get."""
        return self.grants if self.verb == "all" else (self.verb,)


@dataclass(frozen=True)
class AccessTable:
    """A table under forced row-level security.

    `refused` are the verbs that a restrictive policy `no_<verb>` denies to all roles but the service and those with a
    rule of their own for it. `append_only` takes UPDATE, DELETE and TRUNCATE from the owner too. `key` is the column
    with the sequence. `migration` is the file whose access block guards it.
    """

    name: str
    rules: tuple[AccessRule, ...]
    migration: str
    refused: tuple[Verb, ...] = ()
    append_only: bool = False
    key: str = "id"

    @property
    def sequence(self) -> str:
        """The sequence behind `key`."""
        return f"{self.name}_{self.key}_seq"

    def granted_to(self, role: str) -> frozenset[Verb]:
        """The verbs that a role may use on some row."""
        return frozenset(verb for rule in self.rules if role in rule.roles for verb in rule.granted)

    def refused_to(self, verb: Verb) -> tuple[str, ...]:
        """The roles under the restrictive policy of a refused verb."""
        return tuple(role for role in ROLES if role != SERVICE and verb not in self.granted_to(role))


@dataclass(frozen=True)
class View:
    """A view and who may read it.

    Read with the rights of the reader, who therefore needs SELECT on the tables in `over` too. `stored`: a materialised
    view, which no policy guards. `shows_rows`: one row of the view is one row of the only table in `over`, id included.
    """

    name: str
    readers: tuple[str, ...]
    over: tuple[str, ...]
    migration: str
    stored: bool = False
    shows_rows: bool = False


@dataclass(frozen=True)
class Function:
    """A function and who may call it. `over`: it returns rows of these tables, with the rights of the caller."""

    signature: str
    callers: tuple[str, ...]
    migration: str
    over: tuple[str, ...] = ()


_GUARD = "0005_agent_access"
_VIEWS = "0006_agent_views"
# Who may read both agent_queries and agent_approvals.
_QUEUE_READERS = ("authenticated", "qa_team", *OPERATORS, SERVICE)
_RETENTION = AccessRule("retention_all", "all", (RETENTION,), grants=("select", "delete"))
_QUERY_READERS = (
    AccessRule("auth_select", "select", ("authenticated",), own("conversation_id")),
    AccessRule("operator_select", "select", (*OPERATORS, "qa_team")),
)


def _service(*grants: Verb) -> AccessRule:
    return AccessRule("service_all", "all", (SERVICE,), grants=grants or VERBS)


TABLES = (
    AccessTable(
        "agent.facts",
        (
            _service("select", "insert"),
            AccessRule("auth_select", "select", ("authenticated",), own("project")),
            AccessRule("auth_insert", "insert", ("authenticated",), own("project")),
            AccessRule("ai_select", "select", ("ai_readonly",)),
            _RETENTION,
        ),
        _GUARD,
        refused=("update", "delete"),
        append_only=True,
    ),
    AccessTable(
        "agent.decision_sync_event_logs",
        (
            _service("select", "insert"),
            AccessRule("auth_select", "select", ("authenticated",), own("scope")),
            AccessRule("auth_insert", "insert", ("authenticated",), own("scope")),
            AccessRule("operator_select", "select", OPERATORS),
            _RETENTION,
        ),
        _GUARD,
        refused=("update", "delete"),
        append_only=True,
    ),
    AccessTable(
        "agent.observability_logs",
        (
            _service("select", "insert"),
            AccessRule("monitoring_select", "select", OPERATORS),
            AccessRule("auth_select_level", "select", ("authenticated",), one_of("level", "INFO", "WARN")),
            AccessRule("auth_select_own", "select", ("authenticated",), own("request_id")),
            _RETENTION,
        ),
        _GUARD,
        refused=("update", "delete"),
        append_only=True,
    ),
    AccessTable(
        "agent.support_curated_replies",
        (
            _service(),
            AccessRule("support_curated_replies_read_ai", "select", ("ai_readonly",)),
            AccessRule("support_curated_replies_insert_by_webhook", "insert", ("webhook_writer",)),
            _RETENTION,
        ),
        _GUARD,
    ),
    AccessTable(
        "agent.agent_approvals",
        (
            _service(),
            AccessRule("auth_select", "select", ("authenticated",), own("conversation_id")),
            AccessRule("operator_select", "select", (*OPERATORS, "qa_team")),
            AccessRule("service_update", "update", (SERVICE,)),
            _RETENTION,
        ),
        _GUARD,
        refused=("delete",),
    ),
    AccessTable(
        "agent.agent_feedback",
        (
            _service(),
            AccessRule("auth_select", "select", ("authenticated",), own("conversation_id")),
            AccessRule("annotator_select", "select", ("annotator", "qa_team")),
            AccessRule("service_insert", "insert", (SERVICE,)),
            AccessRule(
                "annotate_update",
                "update",
                (SERVICE, "annotator"),
                columns=("safe_to_send", "labels", "rubric", "annotator", "notes"),
            ),
            _RETENTION,
        ),
        _GUARD,
        refused=("delete",),
    ),
    AccessTable(
        "agent.agent_queries",
        (
            _service(),
            *_QUERY_READERS,
            AccessRule("service_insert", "insert", (SERVICE,)),
            AccessRule("review_update", "update", (SERVICE, "operator"), columns=("approved", "human_edited")),
            _RETENTION,
        ),
        _GUARD,
        refused=("delete",),
    ),
    # Written by the trigger of agent_queries only, as the owner.
    AccessTable(
        "agent.agent_queries_history",
        (_service("select"), *_QUERY_READERS, _RETENTION),
        _GUARD,
        key="history_id",
    ),
)

VIEWS: tuple[View, ...] = (
    View(
        "agent.decision_sync_events",
        ("authenticated", *OPERATORS, SERVICE),
        ("agent.decision_sync_event_logs",),
        _GUARD,
        shows_rows=True,
    ),
    View("monitoring.v_health", ("anon", *READERS), (), _VIEWS),
    *(
        View(f"monitoring.{name}", _QUEUE_READERS, ("agent.agent_queries",), _VIEWS)
        for name in ("v_agent_response_accuracy", "v_agent_performance_snapshot")
    ),
    *(
        View(f"monitoring.{name}", _QUEUE_READERS, ("agent.agent_approvals",), _VIEWS)
        for name in ("v_approval_queue_depth", "v_approval_queue_status")
    ),
    *(
        View(
            f"monitoring.{name}", ("authenticated", "annotator", "qa_team", SERVICE), ("agent.agent_feedback",), _VIEWS
        )
        for name in ("v_training_data_quality", "v_annotation_progress")
    ),
    View(
        "monitoring.v_data_quality_report",
        ("authenticated", "qa_team", SERVICE),
        ("agent.agent_approvals", "agent.agent_feedback", "agent.agent_queries", "agent.agent_queries_history"),
        _VIEWS,
    ),
    *(
        View(f"monitoring_private.{name}", (*OPERATORS, SERVICE), (f"agent.{table}",), _VIEWS, stored=True)
        for name, table in (
            ("mv_daily_agent_metrics", "agent_queries"),
            ("mv_realtime_agent_performance", "agent_queries"),
            ("mv_realtime_approval_queue", "agent_approvals"),
            ("mv_realtime_training_quality", "agent_feedback"),
        )
    ),
)

FUNCTIONS: tuple[Function, ...] = (
    Function("app.claim(text, text)", ("authenticated",), _GUARD),
    *(Function(f"app.claim_{claim}()", ("authenticated",), _GUARD) for claim in CLAIMS),
    Function("app.store_timezone()", READERS, _GUARD),
    Function(
        "agent.agent_queries_as_of(timestamptz)",
        ("authenticated", *OPERATORS, "qa_team", SERVICE),
        _GUARD,
        over=("agent.agent_queries_history",),
    ),
    Function("app.store_days(timestamptz, integer, text)", READERS, _VIEWS),
    Function("app.quality_score(bigint, bigint, bigint, bigint, numeric)", READERS, _VIEWS),
    Function("app.schema_revision()", ("anon", *READERS), _VIEWS),
    Function("monitoring_private.refresh_daily_agent_metrics()", (SERVICE,), _VIEWS),
    Function("monitoring_private.refresh_realtime_metrics()", (SERVICE,), _VIEWS),
)

# Where the triggers of the four channels draw their numbers, as the owner. A dump reads them.
BACKED_UP_SEQUENCES = tuple(
    f"agent.{channel}_seq"
    for channel in (
        "approval_queue_stream",
        "performance_alert_stream",
        "training_feedback_stream",
        "decision_sync_stream",
    )
)

# What the specification counts. On top of it: a policy of retention a table, the readers of the history, and the
# service on curated replies (else a pipeline that runs as a plain owner reads none of them).
REQUIRED_POLICIES = 37


def policies() -> list[tuple[str, str]]:
    """Every policy as (table, name), table by table."""
    names = []
    for table in TABLES:
        names += [(table.name, rule.name) for rule in table.rules]
        names += [(table.name, f"no_{verb}") for verb in table.refused]
    return names


def is_required(table: str, policy: str) -> bool:
    """Whether a policy is one of the REQUIRED_POLICIES."""
    extra = policy == _RETENTION.name or table == "agent.agent_queries_history"
    return not extra and (table, policy) != ("agent.support_curated_replies", "service_all")
