"""The lints of objects and roles: who owns, reads, writes and runs what.

Belongs here: rights, owners, attributes, triggers, functions. Does not belong here: the inside of policies
(lint_policies.py).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hotdash_pipelines.warehouse.access.declared import BACKUP, OPERATORS, RETENTION, ROLES, SERVICE, TABLES, TENANTS
from hotdash_pipelines.warehouse.access.lint_model import Lint

if TYPE_CHECKING:
    import psycopg

# Those whom policies limit; the others are meant to see every row.
_LIMITED = [name for name in ROLES if name not in (SERVICE, RETENTION, BACKUP)]
# Who may read figures over the rows of all customers.
_READS_ALL = [SERVICE, BACKUP, *OPERATORS]
_PARAMETERS = {
    "tenants": list(TENANTS),
    "limited": _LIMITED,
    "reads_all": _READS_ALL,
    "roles": list(ROLES),
    "audit": [table.name.partition(".")[2] for table in TABLES if table.append_only],
}
_GRANTEE = "case entry.grantee when 0 then 'PUBLIC' else pg_get_userbyid(entry.grantee) end"
# Extensions bring objects of their own, which are not ours to close.
_WITH = """
with schemas as (
    select oid, nspname, nspowner, nspacl from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema'
),
extension_objects as (select classid, objid from pg_depend where deptype = 'e'),
relations as (
    select c.*, n.nspname from pg_class c join schemas n on n.oid = c.relnamespace
    where (cast('pg_class' as regclass)::oid, c.oid) not in (select classid, objid from extension_objects)
),
functions as (
    select p.* from pg_proc p join schemas n on n.oid = p.pronamespace
    where (cast('pg_proc' as regclass)::oid, p.oid) not in (select classid, objid from extension_objects)
),
grants as (
    select r.oid, r.relkind, r.nspname, r.relname, entry.privilege_type as privilege,
        @grantee as grantee
    from relations r
    cross join lateral (
        select (aclexplode(r.relacl)).*
        union all
        select (aclexplode(a.attacl)).* from pg_attribute a where a.attrelid = r.oid and not a.attisdropped
    ) as entry
    where entry.grantee <> r.relowner
),
our_owner as (select relowner as oid from relations where nspname = 'ops' and relname = 'schema_migrations')
"""


def _sql(query: str) -> "Callable[[psycopg.Connection[Any]], list[tuple[str, str | None]]]":
    """A lint's `find` from a query on the common tables above; @grantee names whom an ACL entry is for."""
    text = f"{_WITH} {query}".replace("@grantee", _GRANTEE).encode()
    return lambda conn: conn.execute(text, _PARAMETERS).fetchall()


RIGHTS_LINTS = (
    Lint(
        "view-not-invoker",
        "{object} is a plain view that {detail} may read: it shows the rows of every tenant, past all policies",
        "alter view {object} set (security_invoker = true)",
        _sql("""
            select g.oid::regclass::text, string_agg(distinct g.grantee, ', ')
            from grants g join pg_class c on c.oid = g.oid
            where g.relkind = 'v' and g.privilege = 'SELECT' and g.grantee = any(%(limited)s || '{PUBLIC}'::text[])
                and not coalesce((select option_value::boolean from pg_options_to_table(c.reloptions)
                    where option_name = 'security_invoker'), false)
            group by 1 order by 1"""),
    ),
    Lint(
        "matview-readable",
        "{object} is a materialised view that {detail} may read: no policy can guard it",
        "revoke all on {object} from {detail}, and give them an invoker view on the tables instead",
        _sql("""
            select oid::regclass::text, string_agg(distinct grantee, ', ') from grants
            where relkind = 'm' and privilege = 'SELECT'
                and grantee = any(%(roles)s || '{PUBLIC}'::text[]) and grantee <> all(%(reads_all)s)
            group by 1 order by 1"""),
    ),
    Lint(
        "private-schema-open",
        "{object} holds figures over all tenants and is open to {detail}",
        "revoke all on schema {object} from {detail}",
        _sql("""
            select nspname::text, string_agg(distinct grantee, ', ')
            from (select nspname, @grantee as grantee from schemas, aclexplode(nspacl) as entry
                where nspname = 'monitoring_private') as open
            where grantee = any(%(roles)s || '{PUBLIC}'::text[]) and grantee <> all(%(reads_all)s)
            group by 1"""),
    ),
    Lint(
        "table-without-rls",
        "{object} has no row-level security: every grant on it opens every row",
        "alter table {object} enable row level security",
        _sql("""
            select oid::regclass::text, null from relations
            where nspname = 'agent' and relkind in ('r', 'p') and not relrowsecurity order by 1"""),
    ),
    Lint(
        "table-without-force",
        "{object} does not force row-level security: its owner passes all policies",
        "alter table {object} force row level security",
        _sql("""
            select oid::regclass::text, null from relations
            where nspname = 'agent' and relkind in ('r', 'p') and not relforcerowsecurity order by 1"""),
    ),
    Lint(
        "tenant-outside-agent",
        "{object} has no row-level security and {detail} may use it",
        "revoke all on {object} from {detail}",
        _sql("""
            select oid::regclass::text, string_agg(distinct grantee, ', ') from grants
            where nspname <> 'agent' and grantee = any(%(tenants)s)
                and oid in (select oid from pg_class where relkind in ('r', 'p', 'f') and not relrowsecurity)
            group by 1 order by 1"""),
    ),
    Lint(
        "grant-to-public",
        "{object} is open to PUBLIC ({detail})",
        "revoke all on {object} from public",
        _sql("""
            select oid::regclass::text, string_agg(distinct privilege, ', ') from grants
            where grantee = 'PUBLIC' group by 1
            union all
            select 'schema ' || nspname, string_agg(distinct entry.privilege_type, ', ')
            from schemas, aclexplode(nspacl) as entry
            where entry.grantee = 0 and nspname <> 'public' and entry.privilege_type <> 'CREATE' group by 1
            order by 1"""),
    ),
    Lint(
        "function-public-execute",
        "{object} may be run by PUBLIC",
        "revoke execute on function {object} from public",
        _sql("""
            select distinct f.oid::regprocedure::text, null
            from functions f, aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) as entry
            where entry.grantee = 0 order by 1"""),
    ),
    Lint(
        "default-privileges-open",
        "what {object} creates next is open to {detail}",
        "alter default privileges for role {object} revoke ... from {detail}",
        _sql("""
            select pg_get_userbyid(oid)::text, 'PUBLIC (functions)' from our_owner
            where not exists (
                select from pg_default_acl d
                where d.defaclrole = our_owner.oid and d.defaclnamespace = 0 and d.defaclobjtype = 'f'
            )
            union all
            select distinct pg_get_userbyid(d.defaclrole)::text, grantee
            from pg_default_acl d cross join lateral (
                select @grantee as grantee from aclexplode(d.defaclacl) as entry
            ) as given
            where grantee = any(%(limited)s || '{PUBLIC}'::text[])
            order by 1, 2"""),
    ),
    Lint(
        "definer-search-path",
        "{object} runs with its owner's rights and finds names by the caller's search_path",
        "alter function {object} set search_path = ''",
        _sql(r"""
            select oid::regprocedure::text, null from functions
            where prosecdef and not exists (
                select from unnest(proconfig) as setting
                -- A path that is not empty must end in pg_temp, or the caller's temporary tables come first.
                where setting ~ '^search_path=(""|.*pg_temp"?)$'
            ) order by 1"""),
    ),
    Lint(
        "function-search-path",
        "{object} finds names by the caller's search_path",
        "alter function {object} set search_path = ''",
        _sql("""
            select oid::regprocedure::text, null from functions
            where not prosecdef and prokind in ('f', 'p')
                and prosqlbody is null  -- a body in standard SQL found its names when it was made
                and not exists (select from unnest(proconfig) as setting where setting ~ '^search_path=')
            order by 1"""),
    ),
    Lint(
        "claim-helper-volatile",
        "{object} is VOLATILE: a policy that calls it runs it for every row and uses no index",
        "alter function {object} stable",
        _sql("""
            select distinct f.oid::regprocedure::text, null from functions f
            where f.provolatile = 'v' and f.prorettype <> cast('trigger' as regtype)
                and (f.pronamespace = (select oid from schemas where nspname = 'app')
                    or f.oid in (select refobjid from pg_depend
                        where classid = cast('pg_policy' as regclass) and refclassid = cast('pg_proc' as regclass)))
            order by 1"""),
    ),
    Lint(
        "audit-change-grant",
        "{object} is an audit trail that {detail}",
        "revoke update, delete, truncate on {object} from that role",
        _sql("""
            select oid::regclass::text, grantee || ' may ' || string_agg(distinct privilege, ', ')
            from (
                select oid, relname, nspname, privilege, grantee from grants
                union all  -- the owner too: it writes by mistake as anybody does
                select r.oid, relname, nspname, entry.privilege_type, 'its owner'
                from relations r, aclexplode(coalesce(relacl, acldefault('r', relowner))) as entry
                where entry.grantee = r.relowner
            ) as every
            where nspname = 'agent' and relname = any(%(audit)s)
                and (privilege in ('UPDATE', 'TRUNCATE')
                    or privilege = 'DELETE' and grantee <> 'hotdash_retention')
            group by 1, grantee order by 1, 2"""),
    ),
    Lint(
        "audit-trigger-missing",
        "{object} is an audit trail without an enabled trigger that refuses {detail}",
        "create trigger refuse_change before update or delete or truncate on {object} "
        "for each statement execute function agent.refuse_change()",
        _sql("""
            select 'agent.' || audit.name, string_agg(verb.name, ', ' order by verb.bit)
            from unnest(%(audit)s::text[]) as audit (name), (values ('DELETE', 8), ('UPDATE', 16), ('TRUNCATE', 32))
                as verb (name, bit)
            where not exists (
                select from pg_trigger t join relations r on r.oid = t.tgrelid join functions f on f.oid = t.tgfoid
                where r.nspname = 'agent' and r.relname = audit.name and t.tgenabled in ('O', 'A')
                    and f.proname = 'refuse_change' and f.pronamespace = r.relnamespace
                    and t.tgqual is null and t.tgattr::text = ''
                    -- before each statement: a row trigger is silent about a statement that finds no row
                    and t.tgtype & 2 = 2 and t.tgtype & 1 = 0 and t.tgtype & verb.bit = verb.bit
            )
            group by 1 order by 1"""),
    ),
    Lint(
        "role-attributes",
        "role {object} has {detail}, which it must not have",
        "let an administrator run: alter role {object} with the opposite, such as nobypassrls or nosuperuser",
        _sql("""
            select rolname::text, string_agg(attribute, ', ') from pg_roles cross join lateral (values
                ('SUPERUSER', rolsuper),
                ('BYPASSRLS', rolbypassrls and rolname <> 'hotdash_backup'),
                ('CREATEROLE', rolcreaterole),
                ('CREATEDB', rolcreatedb),
                ('REPLICATION', rolreplication),
                ('LOGIN', rolcanlogin and rolname not in ('hotdash_api', 'hotdash_backup')),
                -- It must take up a role to have its rights, so that a request without one has none.
                ('INHERIT', rolinherit and rolname = 'hotdash_api')
            ) as attributes (attribute, is_there)
            where is_there and rolname = any(%(roles)s) group by 1 order by 1"""),
    ),
    Lint(
        "role-membership",
        "role {object} is a member of {detail} and has its rights",
        "revoke {detail} from {object}",
        _sql("""
            select member.rolname::text, string_agg(distinct granted.rolname, ', ')
            from pg_auth_members m
            join pg_roles member on member.oid = m.member
            join pg_roles granted on granted.oid = m.roleid
            where member.rolname = any(%(roles)s) and not (
                member.rolname = 'hotdash_api' and granted.rolname = any(
                    '{anon,authenticated,operator,operator_readonly,qa_team,service_role}')
            )
            group by 1 order by 1"""),
    ),
    Lint(
        "schema-create",
        "{detail} may create objects in {object} and so put them in the way of others",
        "revoke create on {object} from {detail}",
        _sql("""
            select 'schema ' || nspname, grantee from schemas cross join lateral (
                select @grantee as grantee from aclexplode(nspacl) as entry
                where entry.privilege_type = 'CREATE' and entry.grantee <> nspowner
            ) as given
            where grantee = any(%(roles)s || '{PUBLIC}'::text[])
            union all
            select 'database ' || datname, grantee from pg_database cross join lateral (
                select @grantee as grantee from aclexplode(datacl) as entry
                where entry.privilege_type = 'CREATE' and entry.grantee <> datdba
            ) as given
            where datname = current_database() and grantee = any(%(roles)s || '{PUBLIC}'::text[])
            order by 1, 2"""),
    ),
    Lint(
        "sequence-writable",
        "{detail} may move the sequence {object} without writing its table",
        "revoke all on sequence {object} from {detail}",
        _sql("""
            select g.oid::regclass::text, string_agg(distinct g.grantee, ', ') from grants g
            left join pg_depend d on d.classid = cast('pg_class' as regclass) and d.objid = g.oid
                and d.refclassid = cast('pg_class' as regclass) and d.deptype in ('a', 'i')
            where g.relkind = 'S' and g.grantee = any(%(roles)s) and (
                g.privilege = 'UPDATE' and g.grantee <> 'service_role'
                or g.privilege = 'USAGE' and not exists (
                    select from grants t
                    where t.oid = d.refobjid and t.grantee = g.grantee and t.privilege = 'INSERT'
                )
            )
            group by 1 order by 1"""),
    ),
    Lint(
        "foreign-owner",
        "{object} belongs to {detail}, not to the owner of the schema",
        "let an administrator give {object} to the user that runs the migrations",
        _sql("""
            select object, pg_get_userbyid(owner) from (
                select oid::regclass::text as object, relowner as owner from relations
                where nspname <> 'public' and relkind in ('r', 'p', 'v', 'm', 'S', 'f')
                union all
                select 'schema ' || nspname, nspowner from schemas where nspname <> 'public'
                union all
                select oid::regprocedure::text, proowner from functions
                where pronamespace not in (select oid from schemas where nspname = 'public')
            ) as owned
            where owner <> (select oid from our_owner) order by 1"""),
    ),
)
