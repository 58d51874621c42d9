-- Access, written by `hotdash docs` from hotdash_pipelines/warehouse/access.py:
grant usage on schema agent to ai_readonly, annotator, authenticated, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, qa_team, service_role, webhook_writer;
grant usage on schema app to annotator, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;

alter table agent.facts enable row level security;
alter table agent.facts force row level security;
revoke update, delete, truncate on agent.facts from current_user;
grant select on agent.facts to ai_readonly;
grant select, insert on agent.facts to authenticated;
grant select on agent.facts to hotdash_backup;
grant select, delete on agent.facts to hotdash_retention;
grant select, insert on agent.facts to service_role;
grant select on agent.facts_id_seq to hotdash_backup;
grant usage on agent.facts_id_seq to authenticated, service_role;
create policy service_all on agent.facts for all to service_role
    using (true) with check (true);
create policy auth_select on agent.facts for select to authenticated
    using (project = (select app.claim_project()));
create policy auth_insert on agent.facts for insert to authenticated
    with check (project = (select app.claim_project()));
create policy ai_select on agent.facts for select to ai_readonly
    using (true);
create policy retention_all on agent.facts for all to hotdash_retention
    using (true) with check (true);
create policy no_update on agent.facts as restrictive for update
    to ai_readonly, annotator, anon, authenticated, hotdash_api, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, qa_team, webhook_writer
    using (false) with check (false);
create policy no_delete on agent.facts as restrictive for delete
    to ai_readonly, annotator, anon, authenticated, hotdash_api, hotdash_backup, monitoring_team, operator, operator_readonly, qa_team, webhook_writer
    using (false);

alter table agent.decision_sync_event_logs enable row level security;
alter table agent.decision_sync_event_logs force row level security;
revoke update, delete, truncate on agent.decision_sync_event_logs from current_user;
grant select, insert on agent.decision_sync_event_logs to authenticated;
grant select on agent.decision_sync_event_logs to hotdash_backup;
grant select, delete on agent.decision_sync_event_logs to hotdash_retention;
grant select on agent.decision_sync_event_logs to monitoring_team;
grant select on agent.decision_sync_event_logs to operator;
grant select on agent.decision_sync_event_logs to operator_readonly;
grant select, insert on agent.decision_sync_event_logs to service_role;
grant select on agent.decision_sync_event_logs_id_seq to hotdash_backup;
grant usage on agent.decision_sync_event_logs_id_seq to authenticated, service_role;
create policy service_all on agent.decision_sync_event_logs for all to service_role
    using (true) with check (true);
create policy auth_select on agent.decision_sync_event_logs for select to authenticated
    using (scope = (select app.claim_scope()));
create policy auth_insert on agent.decision_sync_event_logs for insert to authenticated
    with check (scope = (select app.claim_scope()));
create policy operator_select on agent.decision_sync_event_logs for select to monitoring_team, operator, operator_readonly
    using (true);
create policy retention_all on agent.decision_sync_event_logs for all to hotdash_retention
    using (true) with check (true);
create policy no_update on agent.decision_sync_event_logs as restrictive for update
    to ai_readonly, annotator, anon, authenticated, hotdash_api, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, qa_team, webhook_writer
    using (false) with check (false);
create policy no_delete on agent.decision_sync_event_logs as restrictive for delete
    to ai_readonly, annotator, anon, authenticated, hotdash_api, hotdash_backup, monitoring_team, operator, operator_readonly, qa_team, webhook_writer
    using (false);

alter table agent.observability_logs enable row level security;
alter table agent.observability_logs force row level security;
revoke update, delete, truncate on agent.observability_logs from current_user;
grant select on agent.observability_logs to authenticated;
grant select on agent.observability_logs to hotdash_backup;
grant select, delete on agent.observability_logs to hotdash_retention;
grant select on agent.observability_logs to monitoring_team;
grant select on agent.observability_logs to operator;
grant select on agent.observability_logs to operator_readonly;
grant select, insert on agent.observability_logs to service_role;
grant select on agent.observability_logs_id_seq to hotdash_backup;
grant usage on agent.observability_logs_id_seq to service_role;
create policy service_all on agent.observability_logs for all to service_role
    using (true) with check (true);
create policy monitoring_select on agent.observability_logs for select to monitoring_team, operator, operator_readonly
    using (true);
create policy auth_select_level on agent.observability_logs for select to authenticated
    using (level in ('INFO', 'WARN'));
create policy auth_select_own on agent.observability_logs for select to authenticated
    using (request_id = (select app.claim_request_id()));
create policy retention_all on agent.observability_logs for all to hotdash_retention
    using (true) with check (true);
create policy no_update on agent.observability_logs as restrictive for update
    to ai_readonly, annotator, anon, authenticated, hotdash_api, hotdash_backup, hotdash_retention, monitoring_team, operator, operator_readonly, qa_team, webhook_writer
    using (false) with check (false);
create policy no_delete on agent.observability_logs as restrictive for delete
    to ai_readonly, annotator, anon, authenticated, hotdash_api, hotdash_backup, monitoring_team, operator, operator_readonly, qa_team, webhook_writer
    using (false);

alter table agent.support_curated_replies enable row level security;
alter table agent.support_curated_replies force row level security;
grant select on agent.support_curated_replies to ai_readonly;
grant select on agent.support_curated_replies to hotdash_backup;
grant select, delete on agent.support_curated_replies to hotdash_retention;
grant select, insert, update, delete on agent.support_curated_replies to service_role;
grant insert on agent.support_curated_replies to webhook_writer;
grant select on agent.support_curated_replies_id_seq to hotdash_backup;
grant usage on agent.support_curated_replies_id_seq to service_role, webhook_writer;
create policy service_all on agent.support_curated_replies for all to service_role
    using (true) with check (true);
create policy support_curated_replies_read_ai on agent.support_curated_replies for select to ai_readonly
    using (true);
create policy support_curated_replies_insert_by_webhook on agent.support_curated_replies for insert to webhook_writer
    with check (true);
create policy retention_all on agent.support_curated_replies for all to hotdash_retention
    using (true) with check (true);

alter table agent.agent_approvals enable row level security;
alter table agent.agent_approvals force row level security;
grant select on agent.agent_approvals to authenticated;
grant select on agent.agent_approvals to hotdash_backup;
grant select, delete on agent.agent_approvals to hotdash_retention;
grant select on agent.agent_approvals to monitoring_team;
grant select on agent.agent_approvals to operator;
grant select on agent.agent_approvals to operator_readonly;
grant select on agent.agent_approvals to qa_team;
grant select, insert, update, delete on agent.agent_approvals to service_role;
grant select on agent.agent_approvals_id_seq to hotdash_backup;
grant usage on agent.agent_approvals_id_seq to service_role;
create policy service_all on agent.agent_approvals for all to service_role
    using (true) with check (true);
create policy auth_select on agent.agent_approvals for select to authenticated
    using (conversation_id = (select app.claim_conversation_id()));
create policy operator_select on agent.agent_approvals for select to monitoring_team, operator, operator_readonly, qa_team
    using (true);
create policy service_update on agent.agent_approvals for update to service_role
    using (true) with check (true);
create policy retention_all on agent.agent_approvals for all to hotdash_retention
    using (true) with check (true);
create policy no_delete on agent.agent_approvals as restrictive for delete
    to ai_readonly, annotator, anon, authenticated, hotdash_api, hotdash_backup, monitoring_team, operator, operator_readonly, qa_team, webhook_writer
    using (false);

alter table agent.agent_feedback enable row level security;
alter table agent.agent_feedback force row level security;
grant select on agent.agent_feedback to annotator;
grant update (safe_to_send, labels, rubric, annotator, notes) on agent.agent_feedback to annotator;
grant select on agent.agent_feedback to authenticated;
grant select on agent.agent_feedback to hotdash_backup;
grant select, delete on agent.agent_feedback to hotdash_retention;
grant select on agent.agent_feedback to qa_team;
grant select, insert, update, delete on agent.agent_feedback to service_role;
grant select on agent.agent_feedback_id_seq to hotdash_backup;
grant usage on agent.agent_feedback_id_seq to service_role;
create policy service_all on agent.agent_feedback for all to service_role
    using (true) with check (true);
create policy auth_select on agent.agent_feedback for select to authenticated
    using (conversation_id = (select app.claim_conversation_id()));
create policy annotator_select on agent.agent_feedback for select to annotator, qa_team
    using (true);
create policy service_insert on agent.agent_feedback for insert to service_role
    with check (true);
create policy annotate_update on agent.agent_feedback for update to annotator, service_role
    using (true) with check (true);
create policy retention_all on agent.agent_feedback for all to hotdash_retention
    using (true) with check (true);
create policy no_delete on agent.agent_feedback as restrictive for delete
    to ai_readonly, annotator, anon, authenticated, hotdash_api, hotdash_backup, monitoring_team, operator, operator_readonly, qa_team, webhook_writer
    using (false);

alter table agent.agent_queries enable row level security;
alter table agent.agent_queries force row level security;
grant select on agent.agent_queries to authenticated;
grant select on agent.agent_queries to hotdash_backup;
grant select, delete on agent.agent_queries to hotdash_retention;
grant select on agent.agent_queries to monitoring_team;
grant select on agent.agent_queries to operator;
grant update (approved, human_edited) on agent.agent_queries to operator;
grant select on agent.agent_queries to operator_readonly;
grant select on agent.agent_queries to qa_team;
grant select, insert, update, delete on agent.agent_queries to service_role;
grant select on agent.agent_queries_id_seq to hotdash_backup;
grant usage on agent.agent_queries_id_seq to service_role;
create policy service_all on agent.agent_queries for all to service_role
    using (true) with check (true);
create policy auth_select on agent.agent_queries for select to authenticated
    using (conversation_id = (select app.claim_conversation_id()));
create policy operator_select on agent.agent_queries for select to monitoring_team, operator, operator_readonly, qa_team
    using (true);
create policy service_insert on agent.agent_queries for insert to service_role
    with check (true);
create policy review_update on agent.agent_queries for update to operator, service_role
    using (true) with check (true);
create policy retention_all on agent.agent_queries for all to hotdash_retention
    using (true) with check (true);
create policy no_delete on agent.agent_queries as restrictive for delete
    to ai_readonly, annotator, anon, authenticated, hotdash_api, hotdash_backup, monitoring_team, operator, operator_readonly, qa_team, webhook_writer
    using (false);

alter table agent.agent_queries_history enable row level security;
alter table agent.agent_queries_history force row level security;
grant select on agent.agent_queries_history to authenticated;
grant select on agent.agent_queries_history to hotdash_backup;
grant select, delete on agent.agent_queries_history to hotdash_retention;
grant select on agent.agent_queries_history to monitoring_team;
grant select on agent.agent_queries_history to operator;
grant select on agent.agent_queries_history to operator_readonly;
grant select on agent.agent_queries_history to qa_team;
grant select on agent.agent_queries_history to service_role;
grant select on agent.agent_queries_history_history_id_seq to hotdash_backup;
create policy service_all on agent.agent_queries_history for all to service_role
    using (true) with check (true);
create policy auth_select on agent.agent_queries_history for select to authenticated
    using (conversation_id = (select app.claim_conversation_id()));
create policy operator_select on agent.agent_queries_history for select to monitoring_team, operator, operator_readonly, qa_team
    using (true);
create policy retention_all on agent.agent_queries_history for all to hotdash_retention
    using (true) with check (true);

grant select on agent.decision_sync_events to authenticated, monitoring_team, operator, operator_readonly, service_role;

grant execute on function app.claim(text, text) to authenticated;
grant execute on function app.claim_project() to authenticated;
grant execute on function app.claim_scope() to authenticated;
grant execute on function app.claim_request_id() to authenticated;
grant execute on function app.claim_conversation_id() to authenticated;
grant execute on function app.store_timezone() to annotator, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
grant execute on function agent.agent_queries_as_of(timestamptz) to authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
-- End of access.
