alter default privileges in schema ops revoke select on sequences from hotdash_backup;
alter default privileges in schema ops revoke select on tables from hotdash_backup;
revoke select on all sequences in schema ops from hotdash_backup;
revoke select on all tables in schema ops from hotdash_backup;
revoke usage on schema ops from hotdash_backup;
drop table ops.retention_runs;
drop table ops.backup_runs;
