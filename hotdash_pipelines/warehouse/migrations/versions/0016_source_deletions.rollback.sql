drop table ops.source_deletions;
