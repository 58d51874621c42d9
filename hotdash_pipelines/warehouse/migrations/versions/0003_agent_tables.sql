create table agent.agent_approvals (
    id bigserial primary key,
    conversation_id text not null,
    serialized jsonb not null,
    last_interruptions jsonb default '[]' check (jsonb_typeof(last_interruptions) = 'array'),
    created_at timestamptz not null default now(),
    approved_by text,
    status text not null default 'pending' check (status in ('pending', 'approved', 'rejected', 'expired')),
    updated_at timestamptz not null default now(),
    constraint agent_approvals_decided_by_somebody check (status in ('pending', 'expired') or approved_by is not null),
    constraint agent_approvals_updated_after_created check (updated_at >= created_at)
);
create index agent_approvals_conversation_id_idx on agent.agent_approvals (conversation_id);
create index agent_approvals_created_at_idx on agent.agent_approvals (created_at desc);
create index agent_approvals_status_idx on agent.agent_approvals (status);
create index agent_approvals_status_created_idx on agent.agent_approvals (status, created_at) where status = 'pending';
comment on table agent.agent_approvals is 'One row is one paused run of the support agent that waits, or waited, for an operator.';
comment on column agent.agent_approvals.serialized is 'The paused run, from which it goes on. Holds the customer''s words.';
comment on column agent.agent_approvals.last_interruptions is 'The tool calls that asked for approval.';

create table agent.agent_feedback (
    id bigserial primary key,
    conversation_id text not null,
    input_text text not null,
    model_draft text not null,
    safe_to_send boolean default null,
    labels text[] default '{}',
    rubric jsonb default '{}',
    annotator text,
    notes text,
    meta jsonb default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agent_feedback_updated_after_created check (updated_at >= created_at)
);
create index agent_feedback_conversation_id_idx on agent.agent_feedback (conversation_id);
create index agent_feedback_created_at_idx on agent.agent_feedback (created_at);
create index agent_feedback_annotator_idx on agent.agent_feedback (annotator);
create index agent_feedback_safe_to_send_idx on agent.agent_feedback (safe_to_send) where safe_to_send is not null;
create index agent_feedback_labels_gin on agent.agent_feedback using gin (labels);
create index agent_feedback_unreviewed_idx on agent.agent_feedback (created_at) where safe_to_send is null;
create index agent_feedback_rubric_gin on agent.agent_feedback using gin (rubric jsonb_path_ops);
comment on table agent.agent_feedback is 'One row is one draft of the support agent with what an annotator said of it.';
comment on column agent.agent_feedback.safe_to_send is 'The annotator''s verdict; null until somebody has looked.';
comment on column agent.agent_feedback.rubric is 'Marks from 0 to 5: clarity, accuracy, tone.';

create table agent.agent_queries (
    id bigserial primary key,
    query text not null,
    result jsonb not null,
    conversation_id text not null,
    agent text not null,
    approved boolean default null,
    human_edited boolean default false,
    latency_ms integer check (latency_ms >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint agent_queries_updated_after_created check (updated_at >= created_at)
);
create index agent_queries_conversation_id_idx on agent.agent_queries (conversation_id);
create index agent_queries_created_at_idx on agent.agent_queries (created_at);
create index agent_queries_agent_idx on agent.agent_queries (agent);
create index agent_queries_approved_idx on agent.agent_queries (approved) where approved is not null;
create index agent_queries_agent_created_idx on agent.agent_queries (agent, created_at desc);
create index agent_queries_latency_idx on agent.agent_queries (latency_ms) where latency_ms is not null;
create index agent_queries_agent_latency_idx on agent.agent_queries (agent, latency_ms desc) where latency_ms is not null;
create index agent_queries_conversation_created_idx on agent.agent_queries (conversation_id, created_at desc);
-- Everything that the views of the last days ask for, so that they need not touch the wide rows.
create index agent_queries_hot_idx on agent.agent_queries (created_at desc) include (agent, approved, human_edited, latency_ms);
comment on table agent.agent_queries is 'One row is one question that the support agent asked of a tool, and what came of it.';
comment on column agent.agent_queries.approved is 'Null until a reviewer has decided.';
comment on column agent.agent_queries.latency_ms is 'Milliseconds from question to result.';

create table agent.facts (
    id bigserial primary key,
    project text not null,
    topic text not null,
    key text not null,
    value jsonb not null,
    created_at timestamptz not null default now()
);
create index facts_topic_idx on agent.facts (topic);
create index facts_topic_key_idx on agent.facts (topic, key);
create index facts_created_at_idx on agent.facts (created_at desc);
create index facts_project_topic_created_idx on agent.facts (project, topic, created_at desc);
comment on table agent.facts is 'One row is one thing that a project told its agent, appended and never changed: the newest of a key counts.';

create table agent.decision_sync_event_logs (
    id bigserial primary key,
    decision_id text not null,
    scope text not null,
    status text not null,
    attempt integer not null default 1 check (attempt >= 1),
    duration_ms integer check (duration_ms >= 0),
    error text,
    payload jsonb default '{}',
    created_at timestamptz not null default now()
);
create index decision_sync_event_logs_decision_id_idx on agent.decision_sync_event_logs (decision_id);
create index decision_sync_event_logs_scope_idx on agent.decision_sync_event_logs (scope);
create index decision_sync_event_logs_created_at_idx on agent.decision_sync_event_logs (created_at desc);
comment on table agent.decision_sync_event_logs is 'One row is one attempt to pass a decision on, appended and never changed.';
create view agent.decision_sync_events with (security_invoker = true) as
select
    id,
    decision_id,
    scope,
    status,
    attempt,
    duration_ms,
    created_at as "timestamp"
from agent.decision_sync_event_logs;
comment on view agent.decision_sync_events is 'The decision log without errors and payloads, read with the rights of the reader.';

create table agent.observability_logs (
    id bigserial primary key,
    level text not null check (level in ('DEBUG', 'INFO', 'WARN', 'ERROR')),
    message text not null,
    request_id text,
    metadata jsonb default '{}',
    created_at timestamptz not null default now()
);
create index observability_logs_created_at_idx on agent.observability_logs (created_at desc);
create index observability_logs_level_idx on agent.observability_logs (level);
create index observability_logs_request_id_idx on agent.observability_logs (request_id);
comment on table agent.observability_logs is 'One row is one log line of the support agent, appended and never changed. INFO and WARN are read by every signed-in user: redact before writing.';

create table agent.support_curated_replies (
    id bigserial primary key,
    conversation_id text not null,
    source_message_id text not null unique,
    message_body text not null,
    tags text[] not null default '{}',
    approver text not null,
    approved_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint support_curated_replies_updated_after_created check (updated_at >= created_at)
);
create index support_curated_replies_approved_at_idx on agent.support_curated_replies (approved_at desc);
create index support_curated_replies_conversation_idx on agent.support_curated_replies (conversation_id);
create index support_curated_replies_source_msg_idx on agent.support_curated_replies (source_message_id);
create index support_curated_replies_updated_at_idx on agent.support_curated_replies (updated_at desc);
create index support_curated_replies_created_at_idx on agent.support_curated_replies (created_at desc);
create index support_curated_replies_tags_gin on agent.support_curated_replies using gin (tags);
comment on table agent.support_curated_replies is 'One row is one reply that an approver held up as an example. A webhook sent twice changes nothing.';

-- Longer indexes could serve what these serve. They are part of the agreed schema, and the advice leaves alone what says keep.
comment on index agent.agent_queries_conversation_id_idx is 'keep: part of the agreed schema';
comment on index agent.agent_queries_created_at_idx is 'keep: part of the agreed schema';
comment on index agent.agent_queries_agent_idx is 'keep: part of the agreed schema';
comment on index agent.facts_topic_idx is 'keep: part of the agreed schema';
comment on index agent.support_curated_replies_source_msg_idx is 'keep: part of the agreed schema';

create function agent.touch_updated_at() returns trigger language plpgsql set search_path = ''
as $$
begin
    new.updated_at := greatest(pg_catalog.now(), new.created_at);
    return new;
end
$$;
create trigger touch_updated_at before update on agent.agent_approvals
for each row execute function agent.touch_updated_at();
create trigger touch_updated_at before update on agent.agent_feedback
for each row execute function agent.touch_updated_at();
create trigger touch_updated_at before update on agent.agent_queries
for each row execute function agent.touch_updated_at();
create trigger touch_updated_at before update on agent.support_curated_replies
for each row execute function agent.touch_updated_at();

create function agent.decide_once() returns trigger language plpgsql set search_path = ''
as $$
begin
    if old.status <> 'pending' then
        raise exception 'approval % is % and stays so', old.id, old.status using errcode = 'check_violation';
    end if;
    return new;
end
$$;
comment on function agent.decide_once() is 'pending -> approved, rejected or expired; then the row is frozen.';
create trigger decide_once before update on agent.agent_approvals
for each row execute function agent.decide_once();

-- For each statement, not each row: a statement that finds no row is refused too, and row-level security does not
-- cover TRUNCATE. An upsert counts as an update, whether or not it meets a row.
create function agent.refuse_change() returns trigger language plpgsql set search_path = ''
as $$
begin
    if tg_op = 'DELETE' and current_user = 'hotdash_retention' then
        return null;
    end if;
    raise exception '%.% is an audit trail: rows are appended, never changed', tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege';
end
$$;
create trigger refuse_change before update or delete or truncate on agent.facts
for each statement execute function agent.refuse_change();
create trigger refuse_change before update or delete or truncate on agent.decision_sync_event_logs
for each statement execute function agent.refuse_change();
create trigger refuse_change before update or delete or truncate on agent.observability_logs
for each statement execute function agent.refuse_change();

-- Nobody but the owner until 0005 says otherwise.
revoke all on all tables in schema agent from public;
revoke all on all sequences in schema agent from public;
