-- Access, written by `hotdash docs` from hotdash_pipelines/warehouse/access.py:
revoke execute on function monitoring_private.refresh_realtime_metrics() from service_role;
revoke execute on function monitoring_private.refresh_daily_agent_metrics() from service_role;
revoke execute on function app.schema_revision() from annotator, anon, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke execute on function app.quality_score(bigint, bigint, bigint, bigint, numeric) from annotator, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke execute on function app.store_days(timestamptz, integer, text) from annotator, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke select on monitoring_private.mv_realtime_training_quality from monitoring_team, operator, operator_readonly, service_role;
revoke select on monitoring_private.mv_realtime_approval_queue from monitoring_team, operator, operator_readonly, service_role;
revoke select on monitoring_private.mv_realtime_agent_performance from monitoring_team, operator, operator_readonly, service_role;
revoke select on monitoring_private.mv_daily_agent_metrics from monitoring_team, operator, operator_readonly, service_role;
revoke select on monitoring.v_data_quality_report from authenticated, qa_team, service_role;
revoke select on monitoring.v_annotation_progress from annotator, authenticated, qa_team, service_role;
revoke select on monitoring.v_training_data_quality from annotator, authenticated, qa_team, service_role;
revoke select on monitoring.v_approval_queue_status from authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke select on monitoring.v_approval_queue_depth from authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke select on monitoring.v_agent_performance_snapshot from authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke select on monitoring.v_agent_response_accuracy from authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke select on monitoring.v_health from annotator, anon, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;

revoke usage on schema monitoring_private from monitoring_team, operator, operator_readonly, service_role;
revoke usage on schema monitoring from annotator, anon, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
revoke usage on schema app from anon;
-- End of access.

drop function monitoring_private.refresh_realtime_metrics();
drop function monitoring_private.refresh_daily_agent_metrics();
drop materialized view monitoring_private.mv_realtime_training_quality;
drop materialized view monitoring_private.mv_realtime_approval_queue;
drop materialized view monitoring_private.mv_realtime_agent_performance;
drop materialized view monitoring_private.mv_daily_agent_metrics;
drop view monitoring.v_data_quality_report;
drop view monitoring.v_annotation_progress;
drop view monitoring.v_training_data_quality;
drop view monitoring.v_approval_queue_status;
drop view monitoring.v_approval_queue_depth;
drop view monitoring.v_agent_performance_snapshot;
drop view monitoring.v_agent_response_accuracy;
drop view monitoring.v_health;
drop function app.schema_revision();
drop function app.quality_score(bigint, bigint, bigint, bigint, numeric);
drop function app.store_days(timestamptz, integer, text);
