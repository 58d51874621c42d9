create schema if not exists marts_analytics;
create schema if not exists quarantine;
create schema if not exists audit;
create schema if not exists snapshots;
