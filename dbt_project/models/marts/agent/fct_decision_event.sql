{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'decision_event_id'],
        indexes=[
            {'columns': ['project_key', 'decision_event_id'], 'unique': true},
            {'columns': ['project_key', 'date_key']},
            {'columns': ['_loaded_at']},
        ],
    )
}}

with events as (
    {{ agent_rows(ref('stg_agent__decision_events'), 'decision_event_id', 'created_at') }}
),

final as (
    select
        project_key,
        decision_event_id,
        {{ date_key('created_date') }} as date_key,
        created_date as business_date,
        created_at,
        decision_id,
        scope,
        status,
        attempt_number,
        has_error,
        1 as event_count,
        has_error::int as error_count,
        (attempt_number > 1)::int as retry_count,
        duration_ms,
        created_at as _loaded_at,
        '{{ invocation_id }}'::text as _dbt_run_id
    from events
)

select *
from final
order by project_key, created_at, decision_event_id
