create table ops.erasures (
    erasure_id uuid primary key default gen_random_uuid(),
    subject_kind text not null check (subject_kind = 'conversation'),
    subject text not null check (subject <> ''),
    approved_by text[] not null check (
        cardinality(approved_by) = 2
        and array_ndims(approved_by) = 1
        and array_lower(approved_by, 1) = 1
        and array_position(approved_by, null) is null
        and btrim(approved_by[1], E' \t\r\n') <> ''
        and btrim(approved_by[2], E' \t\r\n') <> ''
        and lower(btrim(approved_by[1], E' \t\r\n')) <> lower(btrim(approved_by[2], E' \t\r\n'))
    ),
    reason text,
    requested_at timestamptz not null,
    finished_at timestamptz not null check (finished_at >= requested_at),
    deleted_rows jsonb not null check (jsonb_typeof(deleted_rows) = 'object'),
    archives jsonb not null default '[]' check (jsonb_typeof(archives) = 'array')
);
create index erasures_subject_idx on ops.erasures (subject_kind, subject);
create index erasures_requested_at_idx on ops.erasures (requested_at desc);
comment on table ops.erasures is 'One row is one deletion of everything about a subject that two people asked for, written in the transaction that deleted it.';
comment on column ops.erasures.subject is 'The conversation''s number, in clear: after a restore of an older backup it is erased again. By itself, its rows gone, it tells nothing of a person.';
comment on column ops.erasures.approved_by is 'The two people; the same name in other letters or with blanks around it is one person.';
comment on column ops.erasures.deleted_rows is 'Rows that went, by table.';
comment on column ops.erasures.archives is 'Files that still hold the subject, or may: archives of retention, backups, exports. They go with their own age, or by hand.';
