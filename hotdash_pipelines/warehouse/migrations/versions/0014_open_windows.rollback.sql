alter table ops.lake_loads drop column is_open, drop column complete_to;
