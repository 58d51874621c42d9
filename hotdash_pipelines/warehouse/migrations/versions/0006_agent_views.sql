-- The first instant of a business day is an hour after 23:00 of the day before. Asking for midnight itself is wrong where
-- the clock is turned at midnight: then it happens twice, and Postgres takes the second.
create function app.store_days(at timestamptz, days integer, zone text)
returns table (day date, starts_at timestamptz, ends_at timestamptz)
language sql immutable parallel safe rows 7 set search_path = ''
as $$
    select d::date, (d - interval '1 hour') at time zone zone + interval '1 hour',
        (d + interval '23 hours') at time zone zone + interval '1 hour'
    from generate_series(
        date_trunc('day', at at time zone zone) - (days - 1) * interval '1 day',
        date_trunc('day', at at time zone zone),
        interval '1 day'
    ) as d
$$;
comment on function app.store_days(timestamptz, integer, text) is 'The last business days of a zone up to the one that an instant lies in, each from its first instant until just before the next day''s.';

create function app.quality_score(approved bigint, decided bigint, edited bigint, total bigint, avg_latency_ms numeric) returns numeric
language sql immutable parallel safe set search_path = ''
as $$
    -- Latency is never negative, so its part needs a floor alone.
    select round(
        0.5 * (100.0 * approved / nullif(decided, 0))
        + 0.3 * (100 - 100.0 * edited / nullif(total, 0))
        + 0.2 * greatest(100 - avg_latency_ms / 10, 0),
        2
    )
$$;
comment on function app.quality_score(bigint, bigint, bigint, bigint, numeric) is '0.5 * approved % of the decided + 0.3 * (100 - edited % of all) + 0.2 * (100 - mean latency / 10 ms, at least 0). Null when nothing is decided or timed.';

-- With the rights of its owner: whoever may ask whether the database answers need not read the bookkeeping.
create function app.schema_revision() returns text language sql stable parallel safe security definer set search_path = ''
as $$ select max(revision) from ops.schema_migrations $$;
comment on function app.schema_revision() is 'The newest migration of this database.';

create view monitoring.v_health with (security_invoker = true) as
select true as is_answering, app.schema_revision() as schema_revision;
comment on view monitoring.v_health is 'One row: the database answers. Open to anon; holds nothing of any store.';
comment on column monitoring.v_health.is_answering is 'Always true: no answer is the other case.';
comment on column monitoring.v_health.schema_revision is 'The newest migration of this database.';

-- Days come first and rows are found day by day: each day is one range of the index, at clock changes too, and a reader who
-- asks for one day reads one day.
create view monitoring.v_agent_response_accuracy with (security_invoker = true) as
select
    days.day,
    found.agent,
    found.query_count,
    found.decided_count,
    found.approved_count,
    found.edited_count,
    round(100.0 * found.approved_count / nullif(found.decided_count, 0), 2) as approval_rate_pct,
    round(100.0 * found.edited_count / found.query_count, 2) as edit_rate_pct,
    round(found.avg_latency_ms, 1) as avg_latency_ms,
    found.latencies[1] as p50_latency_ms,
    found.latencies[2] as p95_latency_ms,
    found.latencies[3] as p99_latency_ms,
    app.quality_score(
        found.approved_count, found.decided_count, found.edited_count, found.query_count, found.avg_latency_ms
    ) as quality_score
from app.store_days(now(), 7, app.store_timezone()) as days
cross join lateral (
    select
        agent,
        count(*) as query_count,
        count(approved) as decided_count,
        count(*) filter (where approved) as approved_count,
        count(*) filter (where human_edited) as edited_count,
        avg(latency_ms) as avg_latency_ms,
        percentile_disc(array[0.5, 0.95, 0.99]) within group (order by latency_ms) as latencies
    from agent.agent_queries
    where created_at >= days.starts_at and created_at < days.ends_at
    group by agent
) as found;
comment on view monitoring.v_agent_response_accuracy is 'One row is one agent on one of the last 7 store days, today included so far. A day without queries has no row.';
comment on column monitoring.v_agent_response_accuracy.day is 'Business day in the store''s zone.';
comment on column monitoring.v_agent_response_accuracy.agent is 'Name of the agent.';
comment on column monitoring.v_agent_response_accuracy.query_count is 'Queries of that day.';
comment on column monitoring.v_agent_response_accuracy.decided_count is 'Queries that a reviewer has approved or refused.';
comment on column monitoring.v_agent_response_accuracy.approved_count is 'Queries that a reviewer has approved.';
comment on column monitoring.v_agent_response_accuracy.edited_count is 'Queries whose result a person edited.';
comment on column monitoring.v_agent_response_accuracy.approval_rate_pct is 'Approved of the decided ones; null when none is decided.';
comment on column monitoring.v_agent_response_accuracy.edit_rate_pct is 'Edited of all queries, decided or not.';
comment on column monitoring.v_agent_response_accuracy.avg_latency_ms is 'Mean latency of the timed queries; null when none is timed.';
comment on column monitoring.v_agent_response_accuracy.p50_latency_ms is 'Latency that half of the timed queries kept within.';
comment on column monitoring.v_agent_response_accuracy.p95_latency_ms is 'Latency that 95 % of the timed queries kept within.';
comment on column monitoring.v_agent_response_accuracy.p99_latency_ms is 'Latency that 99 % of the timed queries kept within.';
comment on column monitoring.v_agent_response_accuracy.quality_score is '0 to 100: 0.5 * approval % (of the decided) + 0.3 * (100 - edit % (of all)) + 0.2 * (100 - mean latency / 10 ms, at least 0). Null when nothing is decided or timed.';

create view monitoring.v_agent_performance_snapshot with (security_invoker = true) as
select
    found.agent,
    found.queries_last_hour,
    found.queries_last_24_hours,
    round(found.approval_rate_pct, 2) as approval_rate_pct,
    round(found.avg_latency_ms, 1) as avg_latency_ms,
    found.p95_latency_ms,
    case
        when found.avg_latency_ms > 200 or found.approval_rate_pct < 50 then 'degraded'
        when found.avg_latency_ms > 50 or found.approval_rate_pct < 80 then 'warning'
        else 'healthy'
    end as health
from (
    select
        agent,
        count(*) filter (where created_at >= now() - interval '1 hour') as queries_last_hour,
        count(*) as queries_last_24_hours,
        100.0 * count(*) filter (where approved) / nullif(count(approved), 0) as approval_rate_pct,
        avg(latency_ms) as avg_latency_ms,
        percentile_disc(0.95) within group (order by latency_ms) as p95_latency_ms
    from agent.agent_queries
    where created_at >= now() - interval '24 hours'
    group by agent
) as found;
comment on view monitoring.v_agent_performance_snapshot is 'One row is one agent that asked anything in the last 24 hours.';
comment on column monitoring.v_agent_performance_snapshot.agent is 'Name of the agent.';
comment on column monitoring.v_agent_performance_snapshot.queries_last_hour is 'Queries of the last 60 minutes.';
comment on column monitoring.v_agent_performance_snapshot.queries_last_24_hours is 'Queries of the last 24 hours.';
comment on column monitoring.v_agent_performance_snapshot.approval_rate_pct is 'Approved of the decided queries of the last 24 hours; null when none is decided.';
comment on column monitoring.v_agent_performance_snapshot.avg_latency_ms is 'Mean latency of the timed queries of the last 24 hours; null when none is timed.';
comment on column monitoring.v_agent_performance_snapshot.p95_latency_ms is 'Latency that 95 % of the timed queries of the last 24 hours kept within.';
comment on column monitoring.v_agent_performance_snapshot.health is 'degraded: mean latency over 200 ms or approval under 50 %. warning: over 50 ms or under 80 %. Otherwise healthy; what is not known counts for nothing.';

-- In both queue views an item keeps the 5 minutes when it was approved or rejected within them. It breaks them when it was
-- decided later, expired undecided, or is pending and older. A younger pending item is neither yet.
create view monitoring.v_approval_queue_depth with (security_invoker = true) as
select
    counted.hour_starts_at,
    counted.item_count,
    counted.pending_count,
    counted.approved_count,
    counted.rejected_count,
    counted.expired_count,
    counted.avg_resolution_seconds,
    counted.sla_breach_count,
    round(100.0 * counted.sla_met_count / nullif(counted.sla_met_count + counted.sla_breach_count, 0), 2) as sla_compliance_pct,
    counted.oldest_pending_seconds
from (
    select
        date_bin(interval '1 hour', created_at, timestamptz '2000-01-01 00:00:00+00') as hour_starts_at,
        count(*) as item_count,
        count(*) filter (where status = 'pending') as pending_count,
        count(*) filter (where status = 'approved') as approved_count,
        count(*) filter (where status = 'rejected') as rejected_count,
        count(*) filter (where status = 'expired') as expired_count,
        round(extract(epoch from avg(updated_at - created_at) filter (where status in ('approved', 'rejected'))), 1)
            as avg_resolution_seconds,
        count(*) filter (
            where status in ('approved', 'rejected') and updated_at - created_at <= interval '5 minutes'
        ) as sla_met_count,
        count(*) filter (
            where case status
                when 'pending' then now() - created_at > interval '5 minutes'
                when 'expired' then true
                else updated_at - created_at > interval '5 minutes'
            end
        ) as sla_breach_count,
        round(extract(epoch from now() - min(created_at) filter (where status = 'pending')), 1) as oldest_pending_seconds
    from agent.agent_approvals
    where created_at >= date_bin(interval '1 hour', now(), timestamptz '2000-01-01 00:00:00+00') - interval '23 hours'
    group by 1
) as counted;
comment on view monitoring.v_approval_queue_depth is 'One row is one UTC hour of the last 24, the current one included, with the items that came in during it. An hour without items has no row.';
comment on column monitoring.v_approval_queue_depth.hour_starts_at is 'First instant of the hour.';
comment on column monitoring.v_approval_queue_depth.item_count is 'Items that came in.';
comment on column monitoring.v_approval_queue_depth.pending_count is 'Of these, still waiting.';
comment on column monitoring.v_approval_queue_depth.approved_count is 'Of these, approved by now.';
comment on column monitoring.v_approval_queue_depth.rejected_count is 'Of these, rejected by now.';
comment on column monitoring.v_approval_queue_depth.expired_count is 'Of these, expired before anybody decided.';
comment on column monitoring.v_approval_queue_depth.avg_resolution_seconds is 'Mean seconds until approved or rejected; null when none is.';
comment on column monitoring.v_approval_queue_depth.sla_breach_count is 'Items decided after more than 5 minutes, expired, or pending for more than 5 minutes.';
comment on column monitoring.v_approval_queue_depth.sla_compliance_pct is 'Items decided within 5 minutes, of these and the breaches; items pending for less are left out. Null when nothing counts.';
comment on column monitoring.v_approval_queue_depth.oldest_pending_seconds is 'Age of the oldest item of that hour that still waits.';

create view monitoring.v_approval_queue_status with (security_invoker = true) as
with items as (
    select status, now() - created_at as waited, now() - created_at > interval '5 minutes' as is_breach
    from agent.agent_approvals
    where status = 'pending'
    union all
    select status, updated_at - created_at, status = 'expired' or updated_at - created_at > interval '5 minutes'
    from agent.agent_approvals
    where status <> 'pending' and created_at >= now() - interval '24 hours'
)
select
    status,
    count(*) as item_count,
    count(*) filter (where waited <= interval '5 minutes') as waited_to_5_minutes,
    count(*) filter (where waited > interval '5 minutes' and waited <= interval '1 hour') as waited_to_1_hour,
    count(*) filter (where waited > interval '1 hour' and waited <= interval '24 hours') as waited_to_24_hours,
    count(*) filter (where waited > interval '24 hours') as waited_longer,
    round(extract(epoch from percentile_disc(0.5) within group (order by waited)), 1) as median_wait_seconds,
    round(extract(epoch from max(waited)), 1) as longest_wait_seconds,
    count(*) filter (where is_breach) as sla_breaches
from items
group by status;
comment on view monitoring.v_approval_queue_status is 'One row is one status of the approval queue: pending items however old, the others if they came in during the last 24 hours.';
comment on column monitoring.v_approval_queue_status.status is 'pending, approved, rejected or expired.';
comment on column monitoring.v_approval_queue_status.item_count is 'Items in that status.';
comment on column monitoring.v_approval_queue_status.waited_to_5_minutes is 'Items that waited, or have waited so far, up to 5 minutes.';
comment on column monitoring.v_approval_queue_status.waited_to_1_hour is 'Items that waited longer, up to 1 hour.';
comment on column monitoring.v_approval_queue_status.waited_to_24_hours is 'Items that waited longer, up to 24 hours.';
comment on column monitoring.v_approval_queue_status.waited_longer is 'Items that waited longer than 24 hours.';
comment on column monitoring.v_approval_queue_status.median_wait_seconds is 'Half of the items waited no longer.';
comment on column monitoring.v_approval_queue_status.longest_wait_seconds is 'The longest wait.';
comment on column monitoring.v_approval_queue_status.sla_breaches is 'Items decided after more than 5 minutes, expired, or pending for more than 5 minutes.';

-- JSON values are ordered by kind first, so `between` lets through numbers alone, and 0 to 5 of these.
-- `offset 0` keeps the planner from working out each mark anew for every place that takes it.
create view monitoring.v_training_data_quality with (security_invoker = true) as
select
    days.day,
    found.draft_count,
    found.reviewed_count,
    found.safe_count,
    round(100.0 * found.safe_count / nullif(found.reviewed_count, 0), 2) as safe_share_pct,
    found.label_counts,
    round(found.clarity_mean, 2) as clarity_mean,
    round(found.accuracy_mean, 2) as accuracy_mean,
    round(found.tone_mean, 2) as tone_mean,
    found.active_annotators,
    round(found.signed_count::numeric / nullif(found.active_annotators, 0), 1) as annotations_per_annotator
from app.store_days(now(), 7, app.store_timezone()) as days
cross join lateral (
    with counted as (
        select
            annotator,
            labels,
            count(*) as drafts,
            count(safe_to_send) as reviewed,
            count(*) filter (where safe_to_send) as safe,
            sum(clarity) as clarity_sum,
            count(clarity) as clarity_marks,
            sum(accuracy) as accuracy_sum,
            count(accuracy) as accuracy_marks,
            sum(tone) as tone_sum,
            count(tone) as tone_marks
        from (
            select
                annotator,
                labels,
                safe_to_send,
                case when clarity between '0' and '5' then clarity::numeric end as clarity,
                case when accuracy between '0' and '5' then accuracy::numeric end as accuracy,
                case when tone between '0' and '5' then tone::numeric end as tone
            from (
                select annotator, labels, safe_to_send,
                    rubric -> 'clarity' as clarity, rubric -> 'accuracy' as accuracy, rubric -> 'tone' as tone
                from agent.agent_feedback
                where created_at >= days.starts_at and created_at < days.ends_at
                offset 0
            ) as said
            offset 0
        ) as marked
        group by annotator, labels
    )
    select
        sum(drafts)::bigint as draft_count,
        sum(reviewed)::bigint as reviewed_count,
        sum(safe)::bigint as safe_count,
        sum(reviewed) filter (where annotator is not null) as signed_count,
        count(distinct annotator) filter (where reviewed > 0) as active_annotators,
        sum(clarity_sum) / nullif(sum(clarity_marks), 0) as clarity_mean,
        sum(accuracy_sum) / nullif(sum(accuracy_marks), 0) as accuracy_mean,
        sum(tone_sum) / nullif(sum(tone_marks), 0) as tone_mean,
        (
            select coalesce(jsonb_object_agg(label, drafts), '{}')
            from (
                select label, sum(drafts) as drafts
                from counted cross join lateral unnest(labels) as label
                where label is not null
                group by label
            ) as by_label
        ) as label_counts
    from counted
    having count(*) > 0
) as found;
comment on view monitoring.v_training_data_quality is 'One row is one of the last 7 store days, today included so far: the drafts made on it and what annotators say of them by now. A day without drafts has no row.';
comment on column monitoring.v_training_data_quality.day is 'Business day in the store''s zone.';
comment on column monitoring.v_training_data_quality.draft_count is 'Drafts of that day.';
comment on column monitoring.v_training_data_quality.reviewed_count is 'Drafts with a verdict.';
comment on column monitoring.v_training_data_quality.safe_count is 'Drafts judged safe to send.';
comment on column monitoring.v_training_data_quality.safe_share_pct is 'Safe of the reviewed drafts; null when none is reviewed.';
comment on column monitoring.v_training_data_quality.label_counts is 'Drafts by label, as a JSON object.';
comment on column monitoring.v_training_data_quality.clarity_mean is 'Mean mark for clarity, 0 to 5; marks that are no number in that range are left out.';
comment on column monitoring.v_training_data_quality.accuracy_mean is 'Mean mark for accuracy, 0 to 5; marks that are no number in that range are left out.';
comment on column monitoring.v_training_data_quality.tone_mean is 'Mean mark for tone, 0 to 5; marks that are no number in that range are left out.';
comment on column monitoring.v_training_data_quality.active_annotators is 'Annotators with at least one verdict on drafts of that day.';
comment on column monitoring.v_training_data_quality.annotations_per_annotator is 'Signed verdicts for each active annotator.';

create view monitoring.v_annotation_progress with (security_invoker = true) as
select
    days.day,
    found.annotator,
    found.assigned_count,
    found.reviewed_count,
    round(100.0 * found.reviewed_count / found.assigned_count, 2) as progress_pct,
    round(100.0 * found.safe_count / nullif(found.reviewed_count, 0), 2) as safe_share_pct,
    found.labelled_count,
    round(found.mark_mean, 2) as mark_mean,
    round(100.0 * found.consistent_count / nullif(found.marked_count, 0), 2) as consistency_pct,
    found.last_changed_at
from app.store_days(now(), 7, app.store_timezone()) as days
cross join lateral (
    select
        annotator,
        count(*) as assigned_count,
        count(safe_to_send) as reviewed_count,
        count(*) filter (where safe_to_send) as safe_count,
        count(*) filter (where labels <> '{}') as labelled_count,
        avg(marks) / 3 as mark_mean,
        count(safe_to_send = (marks >= 9)) as marked_count,
        count(*) filter (where safe_to_send = (marks >= 9)) as consistent_count,
        max(updated_at) as last_changed_at
    from (
        select
            annotator,
            safe_to_send,
            labels,
            updated_at,
            case when clarity between '0' and '5' then clarity::numeric end
            + case when accuracy between '0' and '5' then accuracy::numeric end
            + case when tone between '0' and '5' then tone::numeric end as marks
        from (
            select annotator, safe_to_send, labels, updated_at,
                rubric -> 'clarity' as clarity, rubric -> 'accuracy' as accuracy, rubric -> 'tone' as tone
            from agent.agent_feedback
            where created_at >= days.starts_at and created_at < days.ends_at and annotator is not null
            offset 0
        ) as said
        offset 0
    ) as marked
    group by annotator
) as found;
comment on view monitoring.v_annotation_progress is 'One row is one annotator on one of the last 7 store days, today included so far: the drafts made on that day that are theirs.';
comment on column monitoring.v_annotation_progress.day is 'Business day on which the drafts were made, in the store''s zone.';
comment on column monitoring.v_annotation_progress.annotator is 'Who annotates.';
comment on column monitoring.v_annotation_progress.assigned_count is 'Drafts of that day that carry this annotator''s name.';
comment on column monitoring.v_annotation_progress.reviewed_count is 'Of these, with a verdict.';
comment on column monitoring.v_annotation_progress.progress_pct is 'Reviewed of the assigned drafts.';
comment on column monitoring.v_annotation_progress.safe_share_pct is 'Judged safe, of the reviewed; null when none is reviewed.';
comment on column monitoring.v_annotation_progress.labelled_count is 'Drafts with at least one label.';
comment on column monitoring.v_annotation_progress.mark_mean is 'Quality: mean of the marks for clarity, accuracy and tone, 0 to 5, over drafts that have all three.';
comment on column monitoring.v_annotation_progress.consistency_pct is 'Drafts whose verdict fits their marks (safe with a mean of 3 or more, unsafe with less), of those with a verdict and all three marks.';
comment on column monitoring.v_annotation_progress.last_changed_at is 'When one of these drafts was last changed.';

create view monitoring.v_data_quality_report with (security_invoker = true) as
with approvals as (
    select
        count(*) as checked,
        count(*) filter (where status in ('approved', 'rejected') and approved_by is null) as unsigned,
        count(*) filter (where jsonb_typeof(serialized) <> 'object' or serialized = '{}') as hollow,
        count(*) filter (where updated_at < created_at) as backwards,
        count(*) filter (where created_at > now() + interval '5 minutes') as future
    from agent.agent_approvals
    where created_at >= now() - interval '24 hours'
),

waiting as (
    select count(*) as checked, count(*) filter (where created_at < now() - interval '24 hours') as forgotten
    from agent.agent_approvals
    where status = 'pending'
),

feedback as (
    select
        count(*) as checked,
        count(*) filter (where safe_to_send is not null and annotator is null) as unsigned,
        count(*) filter (where not (clarity between '0' and '5' and accuracy between '0' and '5' and tone between '0' and '5'))
            as beyond_scale,
        count(*) filter (where btrim(input_text, E' \t\r\n') = '' or btrim(model_draft, E' \t\r\n') = '') as blank,
        count(*) filter (where '' = any(labels) or array_position(labels, null) is not null) as unlabelled,
        count(*) filter (where created_at > now() + interval '5 minutes') as future
    from (
        select safe_to_send, annotator, input_text, model_draft, labels, created_at,
            rubric -> 'clarity' as clarity, rubric -> 'accuracy' as accuracy, rubric -> 'tone' as tone
        from agent.agent_feedback
        where created_at >= now() - interval '24 hours'
        offset 0
    ) as said
),

queries as (
    select
        count(*) as checked,
        count(*) filter (where queries.latency_ms < 0 or queries.latency_ms > 600000) as implausible,
        count(*) filter (where queries.human_edited and queries.approved is null) as undecided,
        count(*) filter (where queries.created_at > now() + interval '5 minutes') as future,
        count(*) filter (
            where history.id is null
            or (history.agent, history.approved, history.human_edited, history.latency_ms)
            is distinct from (queries.agent, queries.approved, queries.human_edited, queries.latency_ms)
        ) as lost
    from agent.agent_queries as queries
    left join agent.agent_queries_history as history
        on queries.id = history.id and history.valid_to is null and history.created_at >= now() - interval '24 hours'
    where queries.created_at >= now() - interval '24 hours'
)

select
    checks.name,
    checks.says,
    checks.broken_rows,
    checks.checked_rows,
    case when checks.checked_rows > 0 then checks.broken_rows = 0 end as is_ok
from approvals, waiting, feedback, queries,
    lateral (
        values
        ('approvals_are_signed', 'An approved or rejected item says by whom.', approvals.unsigned, approvals.checked),
        ('approvals_hold_a_run', 'An item holds the paused run.', approvals.hollow, approvals.checked),
        ('approvals_run_forwards', 'No item changed before it came in.', approvals.backwards, approvals.checked),
        ('approvals_are_not_forgotten', 'No item of any age waits for more than 24 hours.', waiting.forgotten, waiting.checked),
        ('feedback_is_signed', 'A verdict says by whom.', feedback.unsigned, feedback.checked),
        ('feedback_marks_are_0_to_5', 'Marks for clarity, accuracy and tone are numbers from 0 to 5.', feedback.beyond_scale, feedback.checked),
        ('feedback_has_text', 'Question and draft are not blank.', feedback.blank, feedback.checked),
        ('feedback_labels_have_names', 'No label is empty.', feedback.unlabelled, feedback.checked),
        ('query_latency_is_plausible', 'A latency lies between 0 and 10 minutes.', queries.implausible, queries.checked),
        ('edited_queries_are_decided', 'A query that a person edited is approved or refused.', queries.undecided, queries.checked),
        ('query_history_is_complete', 'A query equals its open version in the history.', queries.lost, queries.checked),
        (
            'nothing_is_from_the_future',
            'No item, draft or query is more than 5 minutes ahead of the clock.',
            approvals.future + feedback.future + queries.future,
            approvals.checked + feedback.checked + queries.checked
        )
    ) as checks (name, says, broken_rows, checked_rows);
comment on view monitoring.v_data_quality_report is 'One row is one rule, held against the rows of the last 24 hours.';
comment on column monitoring.v_data_quality_report.name is 'Name of the rule.';
comment on column monitoring.v_data_quality_report.says is 'What holds for every row.';
comment on column monitoring.v_data_quality_report.broken_rows is 'Rows for which it does not.';
comment on column monitoring.v_data_quality_report.checked_rows is 'Rows that were looked at.';
comment on column monitoring.v_data_quality_report.is_ok is 'No row breaks the rule; null when there was no row to look at.';

-- Zones are asked for once a query: in a subquery they are, as a plain call they would be once a row.
create materialized view monitoring_private.mv_daily_agent_metrics as
select
    counted.day,
    counted.agent,
    counted.query_count,
    counted.decided_count,
    counted.approved_count,
    counted.edited_count,
    round(100.0 * counted.approved_count / nullif(counted.decided_count, 0), 2) as approval_rate_pct,
    round(100.0 * counted.edited_count / counted.query_count, 2) as edit_rate_pct,
    round(counted.avg_latency_ms, 1) as avg_latency_ms,
    counted.latencies[1] as p50_latency_ms,
    counted.latencies[2] as p95_latency_ms,
    counted.latencies[3] as p99_latency_ms,
    app.quality_score(
        counted.approved_count, counted.decided_count, counted.edited_count, counted.query_count, counted.avg_latency_ms
    ) as quality_score
from (
    select
        (created_at at time zone (select app.store_timezone()))::date as day,
        agent,
        count(*) as query_count,
        count(approved) as decided_count,
        count(*) filter (where approved) as approved_count,
        count(*) filter (where human_edited) as edited_count,
        avg(latency_ms) as avg_latency_ms,
        percentile_disc(array[0.5, 0.95, 0.99]) within group (order by latency_ms) as latencies
    from agent.agent_queries
    where created_at < (select today.starts_at from app.store_days(now(), 1, app.store_timezone()) as today)
    group by 1, 2
) as counted;
create unique index mv_daily_agent_metrics_key on monitoring_private.mv_daily_agent_metrics (day, agent);
comment on materialized view monitoring_private.mv_daily_agent_metrics is 'One row is one agent on one complete store day, as far back as queries are kept. Refreshed every night.';

create materialized view monitoring_private.mv_realtime_agent_performance as
select *, now() as refreshed_at from monitoring.v_agent_performance_snapshot;
create unique index mv_realtime_agent_performance_key on monitoring_private.mv_realtime_agent_performance (agent);
comment on materialized view monitoring_private.mv_realtime_agent_performance is 'v_agent_performance_snapshot over all rows, as last refreshed: every 30 seconds while somebody watches.';

create materialized view monitoring_private.mv_realtime_approval_queue as
select *, now() as refreshed_at from monitoring.v_approval_queue_status;
create unique index mv_realtime_approval_queue_key on monitoring_private.mv_realtime_approval_queue (status);
comment on materialized view monitoring_private.mv_realtime_approval_queue is 'v_approval_queue_status over all rows, as last refreshed: every 30 seconds while somebody watches.';

create materialized view monitoring_private.mv_realtime_training_quality as
select *, now() as refreshed_at from monitoring.v_training_data_quality;
create unique index mv_realtime_training_quality_key on monitoring_private.mv_realtime_training_quality (day);
comment on materialized view monitoring_private.mv_realtime_training_quality is 'v_training_data_quality over all rows, as last refreshed: every 30 seconds while somebody watches.';

-- A stored column says what the live one says.
do $$
declare
    copied record;
begin
    for copied in
        select target.attrelid::regclass as target, target.attname as name,
            coalesce(pg_catalog.col_description(source.attrelid, source.attnum), 'When these figures were taken.') as says
        from (
            values
            ('v_agent_response_accuracy', 'mv_daily_agent_metrics'),
            ('v_agent_performance_snapshot', 'mv_realtime_agent_performance'),
            ('v_approval_queue_status', 'mv_realtime_approval_queue'),
            ('v_training_data_quality', 'mv_realtime_training_quality')
        ) as pairs (live, stored)
        join pg_catalog.pg_attribute as target
            on target.attrelid = ('monitoring_private.' || stored)::regclass and target.attnum > 0
        left join pg_catalog.pg_attribute as source
            on source.attrelid = ('monitoring.' || live)::regclass and source.attname = target.attname
    loop
        execute format('comment on column %s.%I is %L', copied.target, copied.name, copied.says);
    end loop;
end
$$;

-- Only the owner may refresh; whoever may call these does it with the owner's rights. Readers go on reading meanwhile.
create function monitoring_private.refresh_daily_agent_metrics() returns bigint
language plpgsql security definer set search_path = ''
as $$
begin
    refresh materialized view concurrently monitoring_private.mv_daily_agent_metrics;
    return (select count(*) from monitoring_private.mv_daily_agent_metrics);
end
$$;
comment on function monitoring_private.refresh_daily_agent_metrics() is 'Computes mv_daily_agent_metrics anew; returns its rows.';

create function monitoring_private.refresh_realtime_metrics() returns timestamptz
language plpgsql security definer set search_path = ''
as $$
begin
    refresh materialized view concurrently monitoring_private.mv_realtime_agent_performance;
    refresh materialized view concurrently monitoring_private.mv_realtime_approval_queue;
    refresh materialized view concurrently monitoring_private.mv_realtime_training_quality;
    return now();
end
$$;
comment on function monitoring_private.refresh_realtime_metrics() is 'Computes the three mv_realtime_* anew, all for the same instant, which it returns.';

-- Access, written by `hotdash docs` from hotdash_pipelines/warehouse/access.py:
grant usage on schema app to anon;
grant usage on schema monitoring to annotator, anon, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
grant usage on schema monitoring_private to monitoring_team, operator, operator_readonly, service_role;

grant select on monitoring.v_health to annotator, anon, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
grant select on monitoring.v_agent_response_accuracy to authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
grant select on monitoring.v_agent_performance_snapshot to authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
grant select on monitoring.v_approval_queue_depth to authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
grant select on monitoring.v_approval_queue_status to authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
grant select on monitoring.v_training_data_quality to annotator, authenticated, qa_team, service_role;
grant select on monitoring.v_annotation_progress to annotator, authenticated, qa_team, service_role;
grant select on monitoring.v_data_quality_report to authenticated, qa_team, service_role;
grant select on monitoring_private.mv_daily_agent_metrics to monitoring_team, operator, operator_readonly, service_role;
grant select on monitoring_private.mv_realtime_agent_performance to monitoring_team, operator, operator_readonly, service_role;
grant select on monitoring_private.mv_realtime_approval_queue to monitoring_team, operator, operator_readonly, service_role;
grant select on monitoring_private.mv_realtime_training_quality to monitoring_team, operator, operator_readonly, service_role;

grant execute on function app.store_days(timestamptz, integer, text) to annotator, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
grant execute on function app.quality_score(bigint, bigint, bigint, bigint, numeric) to annotator, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
grant execute on function app.schema_revision() to annotator, anon, authenticated, monitoring_team, operator, operator_readonly, qa_team, service_role;
grant execute on function monitoring_private.refresh_daily_agent_metrics() to service_role;
grant execute on function monitoring_private.refresh_realtime_metrics() to service_role;
-- End of access.
