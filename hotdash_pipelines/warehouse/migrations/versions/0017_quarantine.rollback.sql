drop table ops.quarantined_records;
alter table ops.lake_loads drop column ledger;
