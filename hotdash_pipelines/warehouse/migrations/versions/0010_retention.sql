-- A row that was too old leaves no version behind that says so: its versions go in the same transaction, archived like
-- itself. Of rows that somebody else deletes, the history still tells.
drop trigger keep_query_history on agent.agent_queries;
create trigger keep_query_history after insert or update on agent.agent_queries
for each row execute function agent.keep_query_history();
create trigger keep_deleted_query after delete on agent.agent_queries
for each row when (current_user <> 'hotdash_retention') execute function agent.keep_query_history();
comment on table agent.agent_queries_history is 'One row is one version of a row of agent_queries, true from valid_from until just before valid_to; null: still true. A deleted row ends in a version of no length; one that retention deleted takes its versions along.';
