create table ops.source_deletions (
    project_key text not null,
    source text not null,
    stream text not null,
    record_id bigint not null,
    deleted_at timestamptz,
    noticed_at timestamptz not null,
    noticed_by text not null check (noticed_by in ('event', 'sweep')),
    primary key (project_key, source, stream, record_id)
);
comment on table ops.source_deletions is 'One row is one record that its source deleted: its rows are marked, and no older page brings them back.';
comment on column ops.source_deletions.project_key is 'The store that the record belongs to.';
comment on column ops.source_deletions.source is 'Source of the record.';
comment on column ops.source_deletions.stream is 'Stream whose main table holds it.';
comment on column ops.source_deletions.record_id is 'Key of the record in the main table.';
comment on column ops.source_deletions.deleted_at is 'When the source says it was deleted. Null: it was only found to be missing.';
comment on column ops.source_deletions.noticed_at is 'When a load or a sweep noticed it.';
comment on column ops.source_deletions.noticed_by is 'event: the source told. sweep: it was missing from a complete list of ids.';
