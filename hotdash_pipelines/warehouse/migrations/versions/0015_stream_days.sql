create table ops.stream_days (
    project_key text not null,
    source text not null,
    stream text not null,
    business_date date not null,
    has_source_count boolean not null,
    source_count bigint check (source_count >= 0),
    counted_at timestamptz,
    loaded_count bigint not null default 0 check (loaded_count >= 0),
    deleted_count bigint not null default 0 check (deleted_count >= 0),
    changed_at timestamptz,
    as_of timestamptz,
    state text not null check (state in ('complete', 'open', 'provisional', 'partial', 'differs', 'unknown')),
    is_complete boolean not null generated always as (state = 'complete') stored,
    reason text,
    primary key (project_key, source, stream, business_date),
    check ((state = 'complete') = (reason is null))
);
create index stream_days_differing_idx on ops.stream_days (project_key, source, stream) where state = 'differs';
comment on table ops.stream_days is 'One row is one business day of one stream: what its source counts, what is loaded, and whether the day is whole.';
comment on column ops.stream_days.has_source_count is 'Whether the source counts days apart from sending their records; if not, nothing can be compared.';
comment on column ops.stream_days.source_count is 'Records of the day by the source''s own count; null: not counted, or it cannot tell.';
comment on column ops.stream_days.counted_at is 'When the source was asked to count.';
comment on column ops.stream_days.loaded_count is 'Records of the day in the raw table, deleted ones left out.';
comment on column ops.stream_days.deleted_count is 'Records of the day that the source has deleted since they were loaded.';
comment on column ops.stream_days.changed_at is 'When the newest record of the day was read, or the newest deletion noticed; a count made before says nothing of it.';
comment on column ops.stream_days.as_of is 'Every change of the day''s records up to this instant is loaded; null: that is not known of any instant.';
comment on column ops.stream_days.state is 'complete; open: not over; provisional: the source may restate it; partial: not all of it was read; differs: the source counts otherwise; unknown: the source does not show it.';
comment on column ops.stream_days.reason is 'Why the day is not complete; null when it is.';

create table ops.stream_watermarks (
    project_key text not null,
    source text not null,
    stream text not null,
    loaded_until timestamptz not null,
    primary key (project_key, source, stream)
);
comment on table ops.stream_watermarks is 'One row is one stream: up to which load its days in ops.stream_days are counted.';
