create table agent.agent_queries_history (
    history_id bigserial primary key,
    like agent.agent_queries including comments,
    valid_from timestamptz not null,
    valid_to timestamptz,
    operation_type text not null check (operation_type in ('INSERT', 'UPDATE', 'DELETE')),
    constraint agent_queries_history_valid_interval check (valid_to >= valid_from)
);
create unique index agent_queries_history_open_idx on agent.agent_queries_history (id) where valid_to is null;
create index agent_queries_history_id_idx on agent.agent_queries_history (id, valid_from);
create index agent_queries_history_conversation_id_idx on agent.agent_queries_history (conversation_id);
create index agent_queries_history_created_at_idx on agent.agent_queries_history (created_at);
comment on table agent.agent_queries_history is 'One row is one version of a row of agent_queries, true from valid_from until just before valid_to; null: still true. A deleted row ends in a version of no length.';
revoke all on agent.agent_queries_history from public;
revoke all on agent.agent_queries_history_history_id_seq from public;

-- With the rights of its owner: whoever may review a query may not write its history by hand.
create function agent.keep_query_history() returns trigger language plpgsql security definer set search_path = ''
as $$
declare
    changed_at timestamptz;
    version agent.agent_queries;
begin
    if tg_op = 'INSERT' then
        version := new;
        changed_at := new.created_at;
    else
        version := case when tg_op = 'UPDATE' then new else old end;
        -- Several changes in one transaction share an instant; the clock of a server may also step back.
        update agent.agent_queries_history as history
        set valid_to = greatest(history.valid_from, case when tg_op = 'UPDATE' then new.updated_at else pg_catalog.now() end)
        where history.id = old.id and history.valid_to is null
        returning history.valid_to into changed_at;
        changed_at := coalesce(changed_at, pg_catalog.now());
    end if;
    insert into agent.agent_queries_history (
        id, query, result, conversation_id, agent, approved, human_edited, latency_ms, created_at, updated_at,
        valid_from, valid_to, operation_type
    )
    values (
        version.id, version.query, version.result, version.conversation_id, version.agent, version.approved,
        version.human_edited, version.latency_ms, version.created_at, version.updated_at,
        changed_at, case when tg_op = 'DELETE' then changed_at end, tg_op
    );
    return null;
end
$$;
create trigger keep_query_history after insert or update or delete on agent.agent_queries
for each row execute function agent.keep_query_history();

create function agent.agent_queries_as_of(at timestamptz) returns setof agent.agent_queries
language sql stable parallel safe set search_path = ''
as $$
    select id, query, result, conversation_id, agent, approved, human_edited, latency_ms, created_at, updated_at
    from agent.agent_queries_history
    where valid_from <= at and (valid_to is null or valid_to > at)
$$;
comment on function agent.agent_queries_as_of(timestamptz) is 'agent_queries as it stood at an instant, read with the rights of the reader.';
