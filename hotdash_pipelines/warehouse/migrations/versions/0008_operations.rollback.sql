alter default privileges in schema ops revoke select on sequences from hotdash_backup;
alter default privileges in schema ops revoke select on tables from hotdash_backup;
revoke select on all sequences in schema ops from hotdash_backup;
revoke select on all tables in schema ops from hotdash_backup;
revoke usage on schema ops from hotdash_backup;
revoke select on agent.approval_queue_stream_seq, agent.performance_alert_stream_seq, agent.training_feedback_stream_seq,
    agent.decision_sync_stream_seq
from hotdash_backup;
drop table ops.retention_runs;
drop table ops.backup_runs;
