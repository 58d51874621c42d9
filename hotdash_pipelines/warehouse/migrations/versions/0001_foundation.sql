create schema staging;
create schema intermediate;
create schema marts_core;
create schema marts_support;
create schema marts_analytics;
create schema metrics;
create schema quarantine;
create schema audit;
create schema snapshots;

create table ops.projects (
    project_key text primary key check (project_key ~ '^[a-z0-9][a-z0-9-]*$'),
    shop_domain text,
    currency_code text not null,
    iana_timezone text not null,
    chatwoot_account_id bigint,
    ga4_property_id text,
    is_demo boolean not null default false,
    updated_at timestamptz not null
);
comment on table ops.projects is 'One row is one store whose data is kept here. Its key is the first column of every other key.';

create table ops.lake_loads (
    project_key text not null,
    source text not null,
    stream text not null,
    window_key text not null,
    manifest_sha text not null,
    fetched_at timestamptz not null,
    loaded_at timestamptz not null,
    rows jsonb not null check (jsonb_typeof(rows) = 'object'),
    primary key (project_key, source, stream, window_key)
);
comment on table ops.lake_loads is 'One row is one window of one stream as last loaded into the raw tables, written by the load itself.';
comment on column ops.lake_loads.manifest_sha is 'Digest of the lake manifest, its fetch time left out: the same for the same content.';
comment on column ops.lake_loads.rows is 'Rows of each table in the window.';

create table ops.check_results (
    id bigint generated always as identity primary key,
    project_key text not null,
    asset text not null,
    check_name text not null,
    dimension text not null,
    severity text not null check (severity in ('warn', 'error')),
    blocking boolean not null,
    passed boolean not null,
    element_count bigint check (element_count >= 0),
    unexpected_count bigint check (unexpected_count >= 0),
    run_id text not null,
    checked_at timestamptz not null,
    details jsonb not null default '{}'
);
create index check_results_asset_idx on ops.check_results (project_key, asset, check_name, checked_at desc);
create index check_results_checked_at_idx on ops.check_results (checked_at desc);
create index check_results_run_idx on ops.check_results (run_id);
comment on table ops.check_results is 'One row is one check of one asset in one run. Details hold counts, never values of rows.';

create table ops.alert_outbox (
    id bigint generated always as identity primary key,
    dedupe_key text not null unique,
    kind text not null,
    severity text not null,
    channel text not null default 'slack',
    payload jsonb not null,
    created_at timestamptz not null,
    delivered_at timestamptz,
    attempts integer not null default 0 check (attempts >= 0),
    next_attempt_at timestamptz not null,
    last_error text,
    state text not null default 'pending' check (state in ('pending', 'delivered', 'dead')),
    check ((state = 'delivered') = (delivered_at is not null))
);
create index alert_outbox_pending_idx on ops.alert_outbox (next_attempt_at) where state = 'pending';
comment on table ops.alert_outbox is 'One row is one alert, kept before it is sent and sent once by its dedupe key.';
