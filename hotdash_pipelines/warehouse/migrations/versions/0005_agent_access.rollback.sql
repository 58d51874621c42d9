-- Access, written by `hotdash docs` from hotdash_pipelines/warehouse/access.py:
revoke execute on function agent.agent_queries_as_of(timestamptz) from authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke execute on function app.store_timezone() from annotator, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke execute on function app.claim_conversation_id() from authenticated;
revoke execute on function app.claim_request_id() from authenticated;
revoke execute on function app.claim_scope() from authenticated;
revoke execute on function app.claim_project() from authenticated;
revoke execute on function app.claim(text, text) from authenticated;
revoke select on agent.decision_sync_events from authenticated, monitoring_team, operator, operator_readonly, service_role;

drop policy retention_all on agent.agent_queries_history;
drop policy operator_select on agent.agent_queries_history;
drop policy auth_select on agent.agent_queries_history;
drop policy service_all on agent.agent_queries_history;
revoke all on agent.agent_queries_history_history_id_seq from authenticated, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke all on agent.agent_queries_history from authenticated, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, qa_team, service_role;
alter table agent.agent_queries_history no force row level security;
alter table agent.agent_queries_history disable row level security;

drop policy no_delete on agent.agent_queries;
drop policy retention_all on agent.agent_queries;
drop policy review_update on agent.agent_queries;
drop policy service_insert on agent.agent_queries;
drop policy operator_select on agent.agent_queries;
drop policy auth_select on agent.agent_queries;
drop policy service_all on agent.agent_queries;
revoke all on agent.agent_queries_id_seq from authenticated, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke all on agent.agent_queries from authenticated, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, qa_team, service_role;
alter table agent.agent_queries no force row level security;
alter table agent.agent_queries disable row level security;

drop policy no_delete on agent.agent_feedback;
drop policy retention_all on agent.agent_feedback;
drop policy annotate_update on agent.agent_feedback;
drop policy service_insert on agent.agent_feedback;
drop policy annotator_select on agent.agent_feedback;
drop policy auth_select on agent.agent_feedback;
drop policy service_all on agent.agent_feedback;
revoke all on agent.agent_feedback_id_seq from annotator, authenticated, hotdash_backup, hotdash_retention, qa_team, service_role;
revoke all on agent.agent_feedback from annotator, authenticated, hotdash_backup, hotdash_retention, qa_team, service_role;
alter table agent.agent_feedback no force row level security;
alter table agent.agent_feedback disable row level security;

drop policy no_delete on agent.agent_approvals;
drop policy retention_all on agent.agent_approvals;
drop policy service_update on agent.agent_approvals;
drop policy operator_select on agent.agent_approvals;
drop policy auth_select on agent.agent_approvals;
drop policy service_all on agent.agent_approvals;
revoke all on agent.agent_approvals_id_seq from authenticated, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke all on agent.agent_approvals from authenticated, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, qa_team, service_role;
alter table agent.agent_approvals no force row level security;
alter table agent.agent_approvals disable row level security;

drop policy retention_all on agent.support_curated_replies;
drop policy support_curated_replies_insert_by_webhook on agent.support_curated_replies;
drop policy support_curated_replies_read_ai on agent.support_curated_replies;
drop policy service_all on agent.support_curated_replies;
revoke all on agent.support_curated_replies_id_seq from ai_readonly, hotdash_backup, hotdash_retention, service_role, webhook_writer;
revoke all on agent.support_curated_replies from ai_readonly, hotdash_backup, hotdash_retention, service_role, webhook_writer;
alter table agent.support_curated_replies no force row level security;
alter table agent.support_curated_replies disable row level security;

drop policy no_delete on agent.observability_logs;
drop policy no_update on agent.observability_logs;
drop policy retention_all on agent.observability_logs;
drop policy auth_select_own on agent.observability_logs;
drop policy auth_select_level on agent.observability_logs;
drop policy monitoring_select on agent.observability_logs;
drop policy service_all on agent.observability_logs;
revoke all on agent.observability_logs_id_seq from authenticated, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, service_role;
revoke all on agent.observability_logs from authenticated, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, service_role;
grant update, delete, truncate on agent.observability_logs to current_user;
alter table agent.observability_logs no force row level security;
alter table agent.observability_logs disable row level security;

drop policy no_delete on agent.decision_sync_event_logs;
drop policy no_update on agent.decision_sync_event_logs;
drop policy retention_all on agent.decision_sync_event_logs;
drop policy operator_select on agent.decision_sync_event_logs;
drop policy auth_insert on agent.decision_sync_event_logs;
drop policy auth_select on agent.decision_sync_event_logs;
drop policy service_all on agent.decision_sync_event_logs;
revoke all on agent.decision_sync_event_logs_id_seq from authenticated, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, service_role;
revoke all on agent.decision_sync_event_logs from authenticated, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, service_role;
grant update, delete, truncate on agent.decision_sync_event_logs to current_user;
alter table agent.decision_sync_event_logs no force row level security;
alter table agent.decision_sync_event_logs disable row level security;

drop policy no_delete on agent.facts;
drop policy no_update on agent.facts;
drop policy retention_all on agent.facts;
drop policy ai_select on agent.facts;
drop policy auth_insert on agent.facts;
drop policy auth_select on agent.facts;
drop policy service_all on agent.facts;
revoke all on agent.facts_id_seq from ai_readonly, authenticated, hotdash_backup, hotdash_retention, service_role;
revoke all on agent.facts from ai_readonly, authenticated, hotdash_backup, hotdash_retention, service_role;
grant update, delete, truncate on agent.facts to current_user;
alter table agent.facts no force row level security;
alter table agent.facts disable row level security;

revoke usage on schema app from annotator, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke usage on schema agent from ai_readonly, annotator, authenticated, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, qa_team, service_role, webhook_writer;
-- End of access.
