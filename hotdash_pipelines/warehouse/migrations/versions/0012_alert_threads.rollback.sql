comment on column ops.alert_outbox.hold_until is 'Quiet hours keep it back until then.';
comment on column ops.alert_outbox.slack_channel is 'The channel it goes to, or went to.';
comment on column ops.alert_outbox.slack_ts is 'The id of the delivered message in its channel: where replies and edits go.';
drop index ops.alert_outbox_thread_key_idx;
drop index ops.alert_outbox_violation_idx;
-- Edits and copies of a message have no place in what was there before; the message itself stays.
update ops.alert_outbox set violation_id = null where action = 'update' or dedupe_key like '%:edit%' or dedupe_key like '%@%';
create unique index alert_outbox_violation_idx on ops.alert_outbox (violation_id, event_kind, event_level) where violation_id is not null;
alter table ops.alert_outbox
drop constraint alert_outbox_thread_check,
drop column target,
drop column thread_key,
drop column action,
drop column blocked_by,
drop column unanswered;
