drop function agent.agent_queries_as_of(timestamptz);
drop trigger keep_query_history on agent.agent_queries;
drop function agent.keep_query_history();
drop table agent.agent_queries_history;
