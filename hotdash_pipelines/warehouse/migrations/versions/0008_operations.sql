create table ops.backup_runs (
    backup_id text primary key check (backup_id ~ '^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$'),
    scope text not null check (scope in ('operational', 'full', 'tables')),
    state text not null check (state in ('verified', 'failed')),
    location text not null,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    bytes bigint check (bytes >= 0),
    row_count bigint check (row_count >= 0),
    restore_tested_at timestamptz,
    pruned_at timestamptz,
    error text,
    check (finished_at >= started_at),
    check ((state = 'failed') = (error is not null)),
    check (restore_tested_at is null or state = 'verified')
);
create index backup_runs_started_at_idx on ops.backup_runs (started_at desc);
comment on table ops.backup_runs is 'One row is one backup that was made and read back, or that failed. The folder of the backups says which of them exist; this says when they were made and tested.';
comment on column ops.backup_runs.started_at is 'Rows committed before this instant are in the backup.';
comment on column ops.backup_runs.restore_tested_at is 'When the backup was last restored into a scratch database and found equal.';
comment on column ops.backup_runs.pruned_at is 'When the backup made room for newer ones.';

create table ops.retention_runs (
    run_id uuid primary key default gen_random_uuid(),
    table_name text not null,
    cutoff timestamptz not null,
    part integer not null default 1 check (part >= 1),
    long_cutoff timestamptz check (long_cutoff <= cutoff),
    state text not null check (state in ('planned', 'archived', 'verified', 'deleted', 'failed')),
    candidate_rows bigint not null check (candidate_rows >= 0),
    archived_rows bigint check (archived_rows >= 0),
    deleted_rows bigint check (deleted_rows >= 0),
    archive_uri text,
    archive_sha256 text check (archive_sha256 ~ '^[0-9a-f]{64}$'),
    backup_id text,
    started_at timestamptz not null,
    finished_at timestamptz,
    error text,
    unique (table_name, cutoff, part),
    check ((state = 'failed') = (error is not null)),
    check (state <> 'deleted' or (deleted_rows = archived_rows and finished_at is not null))
);
create index retention_runs_started_at_idx on ops.retention_runs (table_name, started_at desc);
comment on table ops.retention_runs is 'One row is one part of one deletion of expired rows, written in the transaction that deleted them.';
comment on column ops.retention_runs.cutoff is 'Rows older than this were deleted; equally old ones were not.';
comment on column ops.retention_runs.long_cutoff is 'The same for the rows that are kept longer.';
comment on column ops.retention_runs.archive_sha256 is 'Digest of the archive file that holds exactly the deleted rows.';
comment on column ops.retention_runs.backup_id is 'The verified backup that stood behind the deletion.';

-- pg_dump reads the sequences of the channels (0007) too.
grant select on agent.approval_queue_stream_seq, agent.performance_alert_stream_seq, agent.training_feedback_stream_seq,
    agent.decision_sync_stream_seq
to hotdash_backup;
grant usage on schema ops to hotdash_backup;
grant select on all tables in schema ops to hotdash_backup;
grant select on all sequences in schema ops to hotdash_backup;
-- Tables that later migrations add are backed up too.
alter default privileges in schema ops grant select on tables to hotdash_backup;
alter default privileges in schema ops grant select on sequences to hotdash_backup;
