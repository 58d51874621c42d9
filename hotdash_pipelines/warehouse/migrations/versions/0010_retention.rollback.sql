comment on table agent.agent_queries_history is 'One row is one version of a row of agent_queries, true from valid_from until just before valid_to; null: still true. A deleted row ends in a version of no length.';
drop trigger keep_deleted_query on agent.agent_queries;
drop trigger keep_query_history on agent.agent_queries;
create trigger keep_query_history after insert or update or delete on agent.agent_queries
for each row execute function agent.keep_query_history();
