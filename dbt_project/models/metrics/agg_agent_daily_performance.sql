{{
    config(
        incremental_strategy='delete+insert',
        unique_key=['project_key', 'business_date'],
        pre_hook="{{ delete_vanished_days('business_date', [(ref('fct_agent_query'), 'business_date')]) }}",
        indexes=[{'columns': ['project_key', 'business_date', 'agent_key'], 'unique': true}],
    )
}}

with queries as (
    select * from {{ ref('fct_agent_query') }}
),

days as (
    {{ days_of('agent', 'agent_queries') }}
),

counted as (
    select
        project_key,
        business_date,
        agent_key,
        sum(query_count) as query_count,
        sum(approved_count) as approved_count,
        sum(rejected_count) as rejected_count,
        sum(undecided_count) as undecided_count,
        sum(edited_count) as edited_count,
        count(latency_ms) as latency_count,
        coalesce(sum(latency_ms), 0)::bigint as latency_ms,
        max(_loaded_at) as _loaded_at
    from queries
    group by project_key, business_date, agent_key
),

summed as (
    select
        counted.*,
        {{ completeness('days') }}
    from counted
    left join days
        on days.project_key = counted.project_key
        and days.business_date = counted.business_date
),

{% set compared -%}
    project_key, business_date, agent_key, query_count, approved_count, rejected_count, undecided_count, edited_count,
    latency_count, latency_ms, is_complete, as_of, incomplete_reason, _loaded_at
{%- endset -%}
{% if incremental_run() -%}
differing as (
    (
        select {{ compared }} from summed
        except
        select {{ compared }} from {{ this }}
    )
    union all
    (
        select {{ compared }} from {{ this }}
        except
        select {{ compared }} from summed
    )
),

{% endif -%}
-- A day is replaced as a whole when any of its agents has new, other or fewer queries.
changed_days as (
    select distinct
        project_key,
        business_date
    from {{ 'differing' if incremental_run() else 'summed' }}
),

percentiles as (
    select
        queries.project_key,
        queries.business_date,
        queries.agent_key,
        percentile_cont(array[0.5, 0.95]) within group (order by queries.latency_ms) as latencies
    from queries
    inner join changed_days
        on changed_days.project_key = queries.project_key
        and changed_days.business_date = queries.business_date
    where queries.latency_ms is not null
    group by queries.project_key, queries.business_date, queries.agent_key
)

select
    summed.project_key,
    summed.business_date,
    {{ date_key('summed.business_date') }} as date_key,
    summed.agent_key,
    summed.query_count,
    summed.approved_count + summed.rejected_count as decided_count,
    summed.approved_count,
    summed.rejected_count,
    summed.undecided_count,
    summed.edited_count,
    summed.latency_count,
    summed.latency_ms,
    percentiles.latencies[1]::numeric(18, 3) as p50_latency_ms,
    percentiles.latencies[2]::numeric(18, 3) as p95_latency_ms,
    summed.is_complete,
    summed.as_of,
    summed.incomplete_reason,
    summed._loaded_at,
    '{{ invocation_id }}'::text as _dbt_run_id
from summed
inner join changed_days
    on changed_days.project_key = summed.project_key
    and changed_days.business_date = summed.business_date
left join percentiles
    on percentiles.project_key = summed.project_key
    and percentiles.business_date = summed.business_date
    and percentiles.agent_key = summed.agent_key
order by summed.project_key, summed.business_date, summed.agent_key
