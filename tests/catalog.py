"""Everything that a database's catalogue says of its own objects, in a form that two moments can be compared in.

Belongs here: the snapshot, without object numbers. Does not belong here: judging it (warehouse.access.lint).
"""

from typing import Any

import psycopg

# Each query gives (name of the object, what is to be compared...).
_OURS = "not in (select oid from pg_namespace where nspname ~ '^pg_' or nspname = 'information_schema')"

_RELATION_KIND = "case c.relkind when 'S' then 's'::\"char\" else 'r'::\"char\" end"


def _acl(column: str, kind: str, owner: str) -> str:
    """Rights that were never touched are stored as null, and in full once they were given back: the same is meant."""
    return f"""(select array_agg(entry::text order by entry::text)
        from unnest(coalesce({column}, acldefault({kind}, {owner}))) as entry)"""


_QUERIES = {
    "schema": f"""
        select nspname, pg_get_userbyid(nspowner), {_acl("nspacl", "'n'", "nspowner")},
            obj_description(oid, 'pg_namespace')
        from pg_namespace where oid {_OURS}""",
    "relation": f"""
        select c.oid::regclass, c.relkind, c.relpersistence, pg_get_userbyid(c.relowner),
            {_acl("c.relacl", _RELATION_KIND, "c.relowner")},
            c.reloptions, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.relispopulated,
            pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid), c.reloftype::regtype, a.amname, t.spcname,
            array(select inhparent::regclass::text from pg_inherits where inhrelid = c.oid order by inhseqno),
            obj_description(c.oid, 'pg_class')
        from pg_class c left join pg_am a on a.oid = c.relam left join pg_tablespace t on t.oid = c.reltablespace
        where c.relnamespace {_OURS} and c.relkind <> 'i'""",
    "column": f"""
        select a.attrelid::regclass || '.' || a.attname, row_number() over (partition by a.attrelid order by a.attnum),
            format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
            pg_get_expr(d.adbin, d.adrelid), l.collname, {_acl("a.attacl", "'c'", "c.relowner")},
            a.attoptions, a.attstorage, a.attcompression, a.attstattarget, col_description(a.attrelid, a.attnum)
        from pg_attribute a
        join pg_class c on c.oid = a.attrelid and c.relkind <> 'i'
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        left join pg_collation l on l.oid = a.attcollation
        where a.attnum > 0 and not a.attisdropped and c.relnamespace {_OURS}""",
    "constraint": f"""
        select coalesce(nullif(conrelid, 0)::regclass::text, contypid::regtype::text) || '.' || conname, contype,
            convalidated, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint')
        from pg_constraint where connamespace {_OURS}""",
    "index": f"""
        select i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered, i.indisreplident,
            c.reloptions, obj_description(i.indexrelid, 'pg_class')
        from pg_index i join pg_class c on c.oid = i.indexrelid where c.relnamespace {_OURS}""",
    "trigger": f"""
        select t.tgrelid::regclass || '.' || t.tgname, pg_get_triggerdef(t.oid), t.tgenabled,
            obj_description(t.oid, 'pg_trigger')
        from pg_trigger t join pg_class c on c.oid = t.tgrelid where not t.tgisinternal and c.relnamespace {_OURS}""",
    "function": f"""
        select p.oid::regprocedure, p.prokind, case when p.prokind <> 'a' then pg_get_functiondef(p.oid) end,
            pg_get_userbyid(p.proowner), {_acl("p.proacl", "'f'", "p.proowner")}, p.proconfig,
            obj_description(p.oid, 'pg_proc')
        from pg_proc p where p.pronamespace {_OURS}""",
    "view": f"""
        select oid::regclass, pg_get_viewdef(oid)
        from pg_class where relkind in ('v', 'm') and relnamespace {_OURS}""",
    "rule": f"""
        select c.oid::regclass || '.' || r.rulename, pg_get_ruledef(r.oid), r.ev_enabled
        from pg_rewrite r join pg_class c on c.oid = r.ev_class
        where r.rulename <> '_RETURN' and c.relnamespace {_OURS}""",
    "policy": f"""
        select p.polrelid::regclass || '.' || p.polname, p.polcmd, p.polpermissive,
            array(select case role when 0 then 'public' else pg_get_userbyid(role) end
                from unnest(p.polroles) as role order by 1),
            pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
            obj_description(p.oid, 'pg_policy')
        from pg_policy p join pg_class c on c.oid = p.polrelid where c.relnamespace {_OURS}""",
    "sequence": f"""
        select s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache,
            s.seqcycle,
            (select d.refobjid::regclass || '.' || d.refobjsubid from pg_depend d
                where d.classid = 'pg_class'::regclass and d.objid = s.seqrelid and d.deptype in ('a', 'i')
                and d.refclassid = 'pg_class'::regclass)
        from pg_sequence s join pg_class c on c.oid = s.seqrelid where c.relnamespace {_OURS}""",
    "type": f"""
        select t.oid::regtype, t.typtype, pg_get_userbyid(t.typowner), {_acl("t.typacl", "'T'", "t.typowner")},
            t.typnotnull,
            t.typdefault, format_type(t.typbasetype, t.typtypmod),
            array(select enumlabel::text from pg_enum where enumtypid = t.oid order by enumsortorder),
            obj_description(t.oid, 'pg_type')
        from pg_type t where t.typnamespace {_OURS} and t.typelem = 0""",
    "default privileges": f"""
        select coalesce(nullif(defaclnamespace, 0)::regnamespace::text, '*') || ' ' || pg_get_userbyid(defaclrole)
            || ' ' || defaclobjtype::text, {_acl("defaclacl", "'r'", "defaclrole")}
        from pg_default_acl""",
    "statistics": f"""
        select stxnamespace::regnamespace || '.' || stxname, pg_get_statisticsobjdef(oid)
        from pg_statistic_ext where stxnamespace {_OURS}""",
    "extension": "select extname, extversion, extnamespace::regnamespace from pg_extension",
    "event trigger": "select evtname, evtevent, evtenabled, evtfoid::regprocedure from pg_event_trigger",
    "publication": "select pubname, puballtables from pg_publication",
    "setting": """
        select coalesce(nullif(setrole, 0)::regrole::text, '*'), setconfig from pg_db_role_setting
        where setdatabase = (select oid from pg_database where datname = current_database())""",
}


def snapshot(conn: psycopg.Connection[Any]) -> dict[tuple[str, str], tuple[object, ...]]:
    """What the catalogue says of every object, by (kind, name): definitions, owners, rights, options and comments."""
    # Names come out with their schema only while it stands in no search path.
    conn.execute("set search_path = ''")
    found: dict[tuple[str, str], tuple[object, ...]] = {}
    for kind, query in _QUERIES.items():
        for name, *rest in conn.execute(f"select q.* from ({query}) as q").fetchall():
            assert (kind, str(name)) not in found
            found[kind, str(name)] = tuple(rest)
    return found


def differences(
    before: dict[tuple[str, str], tuple[object, ...]], after: dict[tuple[str, str], tuple[object, ...]]
) -> list[str]:
    """One line for each object that one snapshot lacks or that differs."""
    return [
        f"{' '.join(key)}: {before.get(key, 'absent')} -> {after.get(key, 'absent')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
