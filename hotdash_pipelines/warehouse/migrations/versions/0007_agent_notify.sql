-- Numbers that a listener can count, one sequence a channel. A number that never arrives was taken by a transaction that
-- was rolled back or still runs: a reason to look, not proof of a loss.
create sequence agent.approval_queue_stream_seq;
create sequence agent.performance_alert_stream_seq;
create sequence agent.training_feedback_stream_seq;
create sequence agent.decision_sync_stream_seq;

-- NOTIFY ignores row-level security, and a payload of 8000 bytes aborts the writer: so numbers and an instant, never a
-- text. With the rights of its owner, because writers have no right to the sequences.
create function agent.announce() returns trigger language plpgsql security definer set search_path = ''
as $$
declare
    at timestamptz;
begin
    if tg_op = 'INSERT' then
        at := new.created_at;
    else
        at := new.updated_at;
    end if;
    perform pg_catalog.pg_notify(
        tg_argv[0],
        pg_catalog.json_build_object(
            'v', 1,
            'op', tg_op,
            'id', new.id,
            -- to_char knows no infinity.
            'at', coalesce(pg_catalog.to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), at::text),
            'seq', pg_catalog.nextval(('agent.' || tg_argv[0] || '_seq')::regclass)
        )::text
    );
    return null;
end
$$;
comment on function agent.announce() is 'Tells a channel which row changed: {v, op, id, at, seq}. at is created_at of an INSERT, updated_at of an UPDATE.';

create trigger announce_insert after insert on agent.agent_approvals
for each row execute function agent.announce('approval_queue_stream');
create trigger announce_decision after update of status on agent.agent_approvals
for each row when (old.status is distinct from new.status) execute function agent.announce('approval_queue_stream');
create trigger announce_slow after insert or update on agent.agent_queries
for each row when (new.latency_ms > 200) execute function agent.announce('performance_alert_stream');
create trigger announce_feedback after insert or update of safe_to_send, labels, rubric on agent.agent_feedback
for each row execute function agent.announce('training_feedback_stream');
create trigger announce_insert after insert on agent.decision_sync_event_logs
for each row execute function agent.announce('decision_sync_stream');
