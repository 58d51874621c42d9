drop table ops.alert_outbox;
drop table ops.check_results;
drop table ops.lake_loads;
drop table ops.projects;

-- Without cascade: a schema that still holds somebody's tables refuses to go.
drop schema snapshots;
drop schema audit;
drop schema quarantine;
drop schema metrics;
drop schema marts_analytics;
drop schema marts_support;
drop schema marts_core;
drop schema intermediate;
drop schema staging;
