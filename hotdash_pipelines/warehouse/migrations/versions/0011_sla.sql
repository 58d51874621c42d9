create table ops.data_slas (
    sla_id bigint generated always as identity primary key,
    name text not null check (name ~ '^[a-z][a-z0-9_]{0,58}$'),
    version integer not null check (version >= 1),
    dataset_name text not null,
    sla_type text not null,
    sla_target numeric not null,
    sla_unit text not null check (sla_unit in ('percent', 'minutes', 'hours', 'days', 'ms', 'count')),
    alert_threshold numeric,
    definition jsonb not null check (jsonb_typeof(definition) = 'object'),
    definition_hash text not null check (definition_hash ~ '^[0-9a-f]{16,64}$'),
    owner text not null,
    created_at timestamptz not null,
    retired_at timestamptz,
    unique (name, version)
);
create unique index data_slas_current_idx on ops.data_slas (name) where retired_at is null;
comment on table ops.data_slas is 'One row is one version of one promise about the data. A changed promise is a new row; who owns it and whom it wakes change in place.';
comment on column ops.data_slas.sla_target is 'In sla_unit; of a deadline, what may pass after its time of day.';
comment on column ops.data_slas.alert_threshold is 'On the good side of the target: reaching past it warns.';
comment on column ops.data_slas.definition is 'The whole entry of slas/*.yaml as it was read last.';
comment on column ops.data_slas.definition_hash is 'Digest of what decides a verdict.';
comment on column ops.data_slas.retired_at is 'When a newer version took over or the entry was removed; null: in force.';

create table ops.incidents (
    incident_id bigint generated always as identity primary key,
    incident_key text not null unique,
    title text not null,
    root_dataset text not null,
    root_sla text not null,
    owner text not null,
    runbook text,
    severity text not null check (severity in ('low', 'medium', 'high', 'critical')),
    opened_at timestamptz not null,
    resolved_at timestamptz,
    affected_assets text[] not null default '{}',
    affected_tiles text[] not null default '{}',
    postmortem text
);
create index incidents_opened_at_idx on ops.incidents (opened_at desc);
create index incidents_open_idx on ops.incidents (incident_id) where resolved_at is null;
comment on table ops.incidents is 'One row is one incident: the violation at the root, those behind it, and those that came back soon after.';
comment on column ops.incidents.incident_key is 'The dataset at the root and the instant of the first opening.';
comment on column ops.incidents.severity is 'The worst of its violations so far, raised by how much is downstream.';
comment on column ops.incidents.resolved_at is 'When its last open violation ended; null again when one of them comes back.';
comment on column ops.incidents.affected_tiles is 'Dashboard tiles that are made from what is broken.';
comment on column ops.incidents.postmortem is 'File of the postmortem, once one was begun.';

create table ops.sla_violations (
    violation_id bigserial primary key,
    sla_id bigint not null references ops.data_slas,
    sla_name text not null,
    partition_key text not null default '',
    incident_id bigint not null references ops.incidents,
    kind text not null check (kind in ('breach', 'unknown')),
    expected_value numeric not null,
    actual_value numeric,
    peak_value numeric,
    impact_severity text not null check (impact_severity in ('low', 'medium', 'high', 'critical')),
    breach_started_at timestamptz not null,
    detected_at timestamptz not null,
    last_seen_at timestamptz not null,
    recovered_at timestamptz,
    resolved_at timestamptz,
    violation_duration interval,
    resolve_reason text check (resolve_reason in ('recovered', 'retired', 'changed', 'known')),
    escalation_level integer not null default 0 check (escalation_level >= 0),
    reopened integer not null default 0 check (reopened >= 0),
    acked_by text,
    acked_at timestamptz,
    suppressed_by text,
    check ((acked_by is null) = (acked_at is null)),
    check ((resolved_at is null) = (resolve_reason is null)),
    check ((resolved_at is null) = (violation_duration is null))
);
create unique index sla_violations_open_idx on ops.sla_violations (sla_name, partition_key) where resolved_at is null;
create index sla_violations_sla_idx on ops.sla_violations (sla_name, detected_at desc);
create index sla_violations_sla_id_idx on ops.sla_violations (sla_id);
create index sla_violations_incident_idx on ops.sla_violations (incident_id);
create index sla_violations_detected_at_idx on ops.sla_violations (detected_at desc);
comment on table ops.sla_violations is 'One row is one stretch in which a promise was broken, or in which nobody could tell. At most one is open for an SLA and partition.';
comment on column ops.sla_violations.sla_id is 'The version that was broken; a target changed meanwhile does not change it.';
comment on column ops.sla_violations.partition_key is 'The day that a deadline is about; empty for everything else.';
comment on column ops.sla_violations.kind is 'unknown: not seen for too long, which is neither kept nor broken.';
comment on column ops.sla_violations.peak_value is 'The worst value seen.';
comment on column ops.sla_violations.breach_started_at is 'When the promise was broken, as far as that can be told.';
comment on column ops.sla_violations.detected_at is 'When the violation opened.';
comment on column ops.sla_violations.last_seen_at is 'The last tick that saw it broken.';
comment on column ops.sla_violations.recovered_at is 'The first good verdict of the recovery; resolved_at is when that was sure enough.';
comment on column ops.sla_violations.violation_duration is 'From breach_started_at to recovered_at; null while open.';
comment on column ops.sla_violations.reopened is 'How often its incident had come back by then.';
comment on column ops.sla_violations.suppressed_by is 'The SLA (and partition) whose violation speaks for this one; null: it speaks for itself.';

create table ops.incident_events (
    event_id bigint generated always as identity primary key,
    incident_id bigint not null references ops.incidents,
    violation_id bigint references ops.sla_violations,
    kind text not null,
    level integer not null default 0,
    severity text not null check (severity in ('low', 'medium', 'high', 'critical')),
    message text not null,
    by_whom text,
    is_silent boolean not null default false,
    happened_at timestamptz not null,
    unique (violation_id, kind, level)
);
create index incident_events_incident_idx on ops.incident_events (incident_id, event_id);
comment on table ops.incident_events is 'One row is one thing that happened in an incident: its timeline.';
comment on column ops.incident_events.level is 'Counts the events of one kind of a violation.';
comment on column ops.incident_events.is_silent is 'Nobody was told: the message of the root speaks for it.';

create table ops.sla_state (
    sla_name text not null,
    partition_key text not null,
    state jsonb not null check (jsonb_typeof(state) = 'object'),
    standing text check (standing in ('ok', 'breach', 'unknown', 'pending')),
    actual_value numeric,
    expected_value numeric,
    message text,
    evaluated_at timestamptz not null,
    primary key (sla_name, partition_key)
) with (fillfactor = 60);
comment on table ops.sla_state is 'One row is what the evaluation remembers of an SLA and partition, and its last verdict. The next tick goes on from here.';
comment on column ops.sla_state.state is 'Exactly what the evaluation hands from tick to tick.';
comment on column ops.sla_state.evaluated_at is 'The last tick that judged it.';

create table ops.data_observations (
    observation_id bigint generated always as identity primary key,
    table_name text not null,
    metric_name text not null,
    metric_value numeric,
    threshold_min numeric,
    threshold_max numeric,
    is_anomaly boolean not null default false,
    observed_at timestamptz not null,
    sla_name text,
    partition_key text not null default '',
    details jsonb not null default '{}' check (jsonb_typeof(details) = 'object'),
    check ((metric_name = 'sla') = (sla_name is not null))
);
create index data_observations_table_idx on ops.data_observations (table_name, metric_name, observed_at desc);
create index data_observations_sla_idx on ops.data_observations (sla_name, partition_key, observed_at desc) where sla_name is not null;
create index data_observations_observed_at_idx on ops.data_observations (observed_at);
comment on table ops.data_observations is 'One row is one figure measured of a table. The figures of SLAs (metric sla) are written when they change and every ten minutes; housekeeping removes old rows.';
comment on column ops.data_observations.metric_value is 'As judged then, in the unit of the SLA; null: not known.';
comment on column ops.data_observations.is_anomaly is 'Outside of its thresholds, or broken as an SLA.';
comment on column ops.data_observations.details is 'Of an SLA, the whole observation: what a simulation plays again.';

create table ops.heartbeats (
    name text primary key,
    beat_at timestamptz not null,
    beats bigint not null default 1 check (beats >= 1),
    details jsonb not null default '{}' check (jsonb_typeof(details) = 'object')
);
comment on table ops.heartbeats is 'One row is one loop that must keep running, and when it last did.';

alter table ops.alert_outbox add column violation_id bigint references ops.sla_violations;
alter table ops.alert_outbox add column incident_id bigint references ops.incidents;
alter table ops.alert_outbox add column event_kind text;
alter table ops.alert_outbox add column event_level integer;
alter table ops.alert_outbox add column hold_until timestamptz;
alter table ops.alert_outbox add column slack_channel text;
alter table ops.alert_outbox add column slack_ts text;
alter table ops.alert_outbox add constraint alert_outbox_event_check
check (violation_id is null or (event_kind is not null and event_level is not null));
create unique index alert_outbox_violation_idx on ops.alert_outbox (violation_id, event_kind, event_level) where violation_id is not null;
create index alert_outbox_incident_idx on ops.alert_outbox (incident_id) where incident_id is not null;
comment on column ops.alert_outbox.violation_id is 'The violation that it is about; one message for each kind and level of its events.';
comment on column ops.alert_outbox.hold_until is 'Quiet hours keep it back until then.';
comment on column ops.alert_outbox.slack_channel is 'The channel it goes to, or went to.';
comment on column ops.alert_outbox.slack_ts is 'The id of the delivered message in its channel: where replies and edits go.';
