alter table ops.lake_loads add column ledger jsonb;
comment on column ops.lake_loads.ledger is 'What became of the main records of the window: counted by the source (null: it gives no count), arrived, quarantined, repeated, superseded, staged, deleted, in_raw (null: a newer listing counts). Null: loaded by a version that kept none.';

create table ops.quarantined_records (
    project_key text not null,
    source text not null,
    stream text not null,
    window_key text not null,
    record_digest text not null,
    key_digest text,
    reason text not null,
    contract_version integer not null,
    noticed_at timestamptz not null,
    resolved_at timestamptz,
    primary key (project_key, source, stream, window_key, record_digest)
);
comment on table ops.quarantined_records is 'One row is one record that a source sent and that could not be loaded. What it says lies in the quarantine of the lake, for its owner alone; here are only digests.';
comment on column ops.quarantined_records.record_digest is 'sha256 of the record as it was sent.';
comment on column ops.quarantined_records.key_digest is 'sha256 of its key as a JSON list, null where that cannot be read.';
comment on column ops.quarantined_records.reason is 'Table, column and kind of the value at fault, never the value.';
comment on column ops.quarantined_records.resolved_at is 'When its window was found to hold it no longer, or its key to have landed; null while it waits.';
