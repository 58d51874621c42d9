drop table ops.stream_watermarks;
drop table ops.stream_days;
