"""Every role tries everything on everything, in its own name, and gets what is declared: no more, no less."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from hotdash_pipelines.warehouse.access.declared import (
    BACKED_UP_SEQUENCES,
    FUNCTIONS,
    OPERATORS,
    REQUIRED_POLICIES,
    ROLES,
    SERVICE,
    TABLES,
    TENANTS,
    VERBS,
    VIEWS,
    is_required,
    policies,
)
from hotdash_pipelines.warehouse.postgres import connect
from hotdash_pipelines.warehouse.schema.migrate import MigrationError, migrate
from tests.integration.agent.matrix import BY_CLAIM_OR_VARIABLE, NOBODY, become, deviations, reaches, seed

# Written down a second time, by hand: s(elect), i(nsert), u(pdate), d(elete); in brackets whose rows, or which columns.
_OPERATORS = dict.fromkeys(OPERATORS, "s")
_CONVERSATION = {"authenticated": "s(conversation_id)", "hotdash_retention": "s d"}
SPECIFIED = {
    "agent.facts": {
        "service_role": "s i",
        "authenticated": "s(project) i(project)",
        "ai_readonly": "s",
        "hotdash_retention": "s d",
    },
    "agent.decision_sync_event_logs": _OPERATORS
    | {"service_role": "s i", "authenticated": "s(scope) i(scope)", "hotdash_retention": "s d"},
    "agent.observability_logs": _OPERATORS
    | {"service_role": "s i", "authenticated": "s(level INFO WARN) s(request_id)", "hotdash_retention": "s d"},
    "agent.support_curated_replies": {
        "service_role": "s i u d",
        "ai_readonly": "s",
        "webhook_writer": "i",
        "hotdash_retention": "s d",
    },
    "agent.agent_approvals": _OPERATORS | _CONVERSATION | {"service_role": "s i u d", "qa_team": "s"},
    "agent.agent_feedback": _CONVERSATION
    | {"service_role": "s i u d", "qa_team": "s", "annotator": "s u(safe_to_send labels rubric annotator notes)"},
    "agent.agent_queries": _OPERATORS
    | _CONVERSATION
    | {"service_role": "s i u d", "qa_team": "s", "operator": "s u(approved human_edited)"},
    "agent.agent_queries_history": _OPERATORS | _CONVERSATION | {"service_role": "s", "qa_team": "s"},
}


def _declared() -> dict[str, dict[str, str]]:
    declared: dict[str, dict[str, str]] = {}
    for table in TABLES:
        for role in ROLES:
            words = {
                f"{verb[0]}{f'({inner})' if inner else ''}": None
                for verb in VERBS
                for rule in table.rules
                if role in rule.roles and verb in rule.granted
                for inner in [" ".join([*filter(None, [rule.rows.column]), *rule.rows.values, *rule.columns])]
            }
            # What is given on whole rows needs no columns.
            kept = [word for word in words if "(" not in word or word[0] not in words]
            if kept:
                declared.setdefault(table.name, {})[role] = " ".join(kept)
    return declared


def test_the_declaration_says_what_was_specified() -> None:
    assert _declared() == SPECIFIED
    every = policies()
    assert len(set(every)) == len(every) == 49
    assert sum(is_required(*one) for one in every) == REQUIRED_POLICIES


def test_readers_of_a_view_may_read_its_tables_and_tenants_no_stored_one() -> None:
    tables = {table.name: table for table in TABLES}
    for view in VIEWS:
        if view.stored:
            assert not set(view.readers) & set(TENANTS), view.name
        else:
            lacking = [
                (role, name)
                for role in view.readers
                for name in view.over
                if name in tables and "select" not in tables[name].granted_to(role)
            ]
            assert lacking == [], view.name


@pytest.fixture
def seeded(any_warehouse_url: str) -> Iterator["psycopg.Connection[Any]"]:
    with connect(any_warehouse_url, autocommit=True) as conn:
        seed(conn)
        yield conn


@pytest.fixture
def seeded_18(warehouse: "psycopg.Connection[Any]") -> "psycopg.Connection[Any]":
    seed(warehouse)
    return warehouse


def test_every_role_gets_what_is_declared_by_claim_and_by_variable(seeded: "psycopg.Connection[Any]") -> None:
    assert deviations(seeded) == []


def test_no_claim_an_empty_one_and_a_malformed_one_name_nobody(seeded: "psycopg.Connection[Any]") -> None:
    assert deviations(seeded, roles=("authenticated",), ways=NOBODY) == []
    with seeded.transaction(force_rollback=True):
        become(seeded, "authenticated", "{", "mine")
        for table in TABLES:
            if table.name != "agent.observability_logs" and "select" in table.granted_to("authenticated"):
                assert seeded.execute(f"select from {table.name}").rowcount == 0


def test_grants_and_policies_of_the_catalogue_are_the_declared_ones(seeded: "psycopg.Connection[Any]") -> None:
    real = {
        (schema_table, name): (permissive, sorted(roles), command.lower(), using, check)
        for schema_table, name, permissive, roles, command, using, check in seeded.execute(
            "select schemaname || '.' || tablename, policyname, permissive, roles::text[], cmd, qual, with_check "
            "from pg_policies where schemaname in ('agent', 'app', 'monitoring', 'monitoring_private')"
        )
    }
    wanted = {}
    for table in TABLES:
        for rule in table.rules:
            column, values = rule.rows.column, rule.rows.values
            condition = "true"
            if values:
                listed = ", ".join(f"'{value}'::text" for value in values)
                condition = f"({column} = ANY (ARRAY[{listed}]))"
            elif column:
                condition = f"({column} = ( SELECT app.claim_{column}() AS claim_{column}))"
            using = None if rule.verb == "insert" else condition
            check = None if rule.verb in ("select", "delete") else condition
            wanted[table.name, rule.name] = ("PERMISSIVE", sorted(rule.roles), rule.verb, using, check)
        for verb in table.refused:
            others = sorted(set(ROLES) - {SERVICE} - ({"hotdash_retention"} if verb == "delete" else set()))
            check = "false" if verb == "update" else None
            wanted[table.name, f"no_{verb}"] = ("RESTRICTIVE", others, verb, "false", check)
    assert real == wanted

    open_tables = seeded.execute(
        "select oid::regclass::text from pg_class where relkind in ('r', 'p') "
        "and relnamespace::regnamespace::text = 'agent' and not (relrowsecurity and relforcerowsecurity)"
    ).fetchall()
    assert open_tables == []
    assert _granted(seeded) == _wanted_grants()


def _granted(conn: "psycopg.Connection[Any]") -> set[tuple[str, str, str]]:
    """(object, role, privilege) that anybody but the owner has in the agent's schemas."""
    inside = "in ('agent', 'app', 'monitoring', 'monitoring_private')"
    rows = conn.execute(
        f"""
        with acl as (
            select c.oid::regclass::text as name, x.* from pg_class c, aclexplode(c.relacl) x
            where c.relnamespace::regnamespace::text {inside} and x.grantee <> c.relowner
            union all
            select c.oid::regclass::text || '.' || a.attname, x.*
            from pg_class c join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) x
            where c.relnamespace::regnamespace::text {inside} and x.grantee <> c.relowner
            union all
            select p.oid::regprocedure::text, x.*
            from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
            where p.pronamespace::regnamespace::text {inside} and x.grantee <> p.proowner
            union all
            select n.nspname, x.* from pg_namespace n, aclexplode(n.nspacl) x
            where n.nspname {inside} and x.grantee <> n.nspowner
        )
        select name, case grantee when 0 then 'public' else grantee::regrole::text end, lower(privilege_type) from acl
        """
    )
    return {(name, role, privilege) for name, role, privilege in rows}


def _wanted_grants() -> set[tuple[str, str, str]]:
    wanted = {(sequence, "hotdash_backup", "select") for sequence in BACKED_UP_SEQUENCES}
    for table in TABLES:
        wanted |= {(name, "hotdash_backup", "select") for name in (table.name, table.sequence)}
        for rule in table.rules:
            for role in rule.roles:
                whole = {verb for one in table.rules if role in one.roles and not one.columns for verb in one.granted}
                wanted |= {(table.name, role, verb) for verb in whole}
                wanted |= {(table.sequence, role, "usage") for verb in whole if verb == "insert"}
                if "update" not in whole:
                    wanted |= {(f"{table.name}.{column}", role, "update") for column in rule.columns}
    wanted |= {(view.name, role, "select") for view in VIEWS for role in view.readers}
    for function in FUNCTIONS:
        signature = function.signature.replace("timestamptz", "timestamp with time zone").replace(", ", ",")
        wanted |= {(signature, role, "execute") for role in function.callers}
    entered = {(name.partition(".")[0], role, "usage") for name, role, _ in wanted}
    return wanted | entered


def _harms() -> list[tuple[str, tuple[str, ...], str]]:
    """(statement, roles that notice, object) of ways to get the rights of a table or view wrong."""
    changes = []
    for table in TABLES:
        for rule in table.rules:
            if rule.roles != (SERVICE,) or rule.name == "service_all":
                others = tuple(role for role in rule.roles if role != SERVICE) or rule.roles
                changes.append((f"drop policy {rule.name} on {table.name}", others, table.name))
            if rule.rows.column:
                wide = "with check (true)" if rule.verb == "insert" else "using (true)"
                changes.append((f"alter policy {rule.name} on {table.name} {wide}", rule.roles, table.name))
        changes.append(
            (f"grant select on {table.name} to anon; grant usage on schema agent to anon", ("anon",), table.name)
        )
        if not table.append_only:
            changes.append((f"grant truncate on {table.name} to service_role", (SERVICE,), table.name))
    changes += [
        ("alter table agent.facts disable row level security", ("authenticated",), "agent.facts"),
        ("grant delete on agent.agent_feedback to annotator", ("annotator",), "agent.agent_feedback"),
        ("grant update on agent.agent_queries to operator", ("operator",), "agent.agent_queries"),
        ("revoke usage on agent.facts_id_seq from authenticated", ("authenticated",), "agent.facts"),
        ("grant update on agent.facts_id_seq to authenticated", ("authenticated",), "agent.facts"),
        (
            "alter view agent.decision_sync_events set (security_invoker = false)",
            ("authenticated",),
            "agent.decision_sync_events",
        ),
        (
            "alter function agent.agent_queries_as_of(timestamptz) security definer",
            ("authenticated",),
            "agent.agent_queries_as_of(timestamptz)",
        ),
        (
            "grant execute on function app.store_timezone() to public; grant usage on schema app to public",
            ("anon",),
            "app.store_timezone()",
        ),
    ]
    return changes


def test_a_dropped_or_widened_policy_or_grant_makes_the_matrix_fail(seeded_18: "psycopg.Connection[Any]") -> None:
    unnoticed = []
    harms = _harms()
    for harm, roles, name in harms:
        with seeded_18.transaction(force_rollback=True):
            seeded_18.execute(harm)
            if not deviations(seeded_18, roles, BY_CLAIM_OR_VARIABLE[:1], only=name):
                unnoticed.append(harm)
    assert unnoticed == []
    assert len(harms) > 50
    assert deviations(seeded_18, ("authenticated",)) == []


def test_a_refusal_stands_against_a_grant_and_a_policy_given_by_mistake(seeded_18: "psycopg.Connection[Any]") -> None:
    deleted = []
    for dropped in (False, True):
        with seeded_18.transaction(force_rollback=True):
            seeded_18.execute("grant delete on agent.agent_feedback to qa_team")
            seeded_18.execute("create policy slip on agent.agent_feedback for delete to qa_team using (true)")
            if dropped:
                seeded_18.execute("drop policy no_delete on agent.agent_feedback")
            seeded_18.execute("set local role qa_team")
            deleted.append(seeded_18.execute("delete from agent.agent_feedback").rowcount)
    assert deleted == [0, 3]


def test_a_view_shows_each_role_the_figures_of_its_own_rows(seeded_18: "psycopg.Connection[Any]") -> None:
    tables = {table.name: table for table in TABLES}
    claims, variable, me = BY_CLAIM_OR_VARIABLE[0]
    for view in (view for view in VIEWS if not view.stored):
        for role in view.readers:
            with seeded_18.transaction(force_rollback=True):
                become(seeded_18, seeded_18.info.user, claims, variable)
                seeded_18.execute("savepoint whole; set local session_replication_role = replica")
                for name in set(view.over) & set(tables):
                    hidden = [
                        row.pop("id")
                        for row in seeded_18.cursor(row_factory=psycopg.rows.dict_row).execute(f"select * from {name}")
                        if not reaches(tables[name], role, "select", row, me)
                    ]
                    seeded_18.execute(f"delete from {name} where id = any(%s)", (hidden,))
                query = f"select v::text from {view.name} v order by 1"
                alone = seeded_18.execute(query).fetchall()
                seeded_18.execute("rollback to whole")
                seeded_18.execute(f"set local role {role}")
                assert seeded_18.execute(query).fetchall() == alone, (view.name, role)


def test_a_pooled_connection_carries_nothing_over(seeded: "psycopg.Connection[Any]") -> None:
    for claims, variable, _ in BY_CLAIM_OR_VARIABLE:
        with seeded.transaction():
            become(seeded, "authenticated", claims, variable)
            assert seeded.execute("select from agent.facts").rowcount == 1
        with seeded.transaction():
            assert seeded.execute("select current_user = session_user").fetchone() == (True,)
            seeded.execute("set local role authenticated")
            assert seeded.execute("select from agent.facts").rowcount == 0
            assert seeded.execute("select from agent.agent_queries").rowcount == 0


@contextmanager
def _login(conn: "psycopg.Connection[Any]", url: str, role: str) -> Iterator[str]:
    """URL by which a login role signs in, with a password for this long only."""
    password = uuid.uuid4().hex
    conn.execute(psycopg.sql.SQL("alter role {} password {}").format(psycopg.sql.Identifier(role), password))
    parts = urlsplit(url)
    try:
        yield parts._replace(netloc=f"{role}:{password}@{parts.hostname}:{parts.port}").geturl()
    finally:
        conn.execute(psycopg.sql.SQL("alter role {} password null").format(psycopg.sql.Identifier(role)))


def test_the_api_signs_in_without_rights_and_becomes_what_it_may(
    seeded: "psycopg.Connection[Any]", any_warehouse_url: str
) -> None:
    members = ("anon", "authenticated", "operator", "operator_readonly", "qa_team", "service_role")
    with _login(seeded, any_warehouse_url, "hotdash_api") as url, connect(url, autocommit=True) as api:
        for table in TABLES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                api.execute(f"select from {table.name}")
        for role in sorted(set(ROLES) - set(members) - {"hotdash_api"}):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                api.execute(f"set role {role}")
        assert deviations(api, members, BY_CLAIM_OR_VARIABLE[:1]) == []


@contextmanager
def _plain_owner(admin: "psycopg.Connection[Any]") -> Iterator[str]:
    """A login role without superuser rights that owns the database of the connection."""
    name = f"owner_{uuid.uuid4().hex[:12]}"
    database, before = admin.info.dbname, admin.info.user
    admin.execute(f"create role {name} login createrole; grant service_role to {name}")
    admin.execute(f"alter database {database} owner to {name}")
    try:
        yield name
    finally:
        admin.execute(f"alter database {database} owner to {before}; drop owned by {name} cascade; drop role {name}")


def test_a_plain_owner_migrates_writes_and_reads_as_service_role_only(any_empty_database_url: str) -> None:
    with (
        connect(any_empty_database_url, autocommit=True) as admin,
        _plain_owner(admin) as name,
        _login(admin, any_empty_database_url, name) as url,
    ):
        migrate(url)
        with connect(url, autocommit=True) as owner:
            seed(owner)
            assert owner.execute("select from agent.agent_queries_history").rowcount == 3
            assert owner.execute("select from agent.support_curated_replies").rowcount == 3
            assert deviations(admin, ways=BY_CLAIM_OR_VARIABLE[:1]) == []
            for change in ("update agent.facts set key = 'x'", "delete from agent.facts", "truncate agent.facts"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    owner.execute(change)
            # Row security is forced: as nothing but the owner it reads no row of its own tables.
            admin.execute(f"revoke service_role from {name}")
            for table in TABLES:
                assert owner.execute(f"select from {table.name}").rowcount == 0
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute("insert into agent.facts (project, topic, key, value) values ('p', 't', 'k', '1')")


def test_an_owner_outside_service_role_is_told_what_an_administrator_has_to_grant(empty_database_url: str) -> None:
    with (
        connect(empty_database_url, autocommit=True) as admin,
        _plain_owner(admin) as name,
        _login(admin, empty_database_url, name) as url,
    ):
        admin.execute(f"revoke service_role from {name}; alter role {name} nocreaterole")
        with pytest.raises(MigrationError, match=f"run `grant service_role to {name}`"):
            migrate(url)
