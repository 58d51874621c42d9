alter table ops.alert_outbox
add column target text check (target <> ''),
add column thread_key text check (thread_key <> ''),
add column action text not null default 'post' check (action in ('post', 'reply', 'update')),
add column blocked_by text,
add column unanswered integer not null default 0 check (unanswered >= 0),
add constraint alert_outbox_thread_check check (action = 'post' or thread_key is not null);
drop index ops.alert_outbox_violation_idx;
create unique index alert_outbox_violation_idx
on ops.alert_outbox (violation_id, event_kind, event_level, (dedupe_key like '%:edit%'), target) nulls not distinct
where violation_id is not null;
create index alert_outbox_thread_key_idx on ops.alert_outbox (thread_key, id) where thread_key is not null;
comment on column ops.alert_outbox.target is 'Where to: #channel, a channel''s id, or an owner that the settings give a channel; null: the default channel.';
comment on column ops.alert_outbox.thread_key is 'Messages of one key are sent in the order of their ids, as one thread a target.';
comment on column ops.alert_outbox.action is 'What is to be done, and once delivered what was done: a reply without a first message became a post.';
comment on column ops.alert_outbox.hold_until is 'Quiet hours: not before, unless a later message of the thread goes out earlier.';
comment on column ops.alert_outbox.slack_channel is 'The id of the channel it went to; null until then, and where a webhook took it.';
comment on column ops.alert_outbox.slack_ts is 'The id of the delivered message in its channel: where replies and edits go. Null where a webhook took it.';
comment on column ops.alert_outbox.blocked_by is 'What has to change first: slack, or a fingerprint of the settings that Slack refused.';
comment on column ops.alert_outbox.unanswered is 'How often it was handed to Slack without an answer: each time may have posted it.';
