{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'query_id'],
        indexes=[
            {'columns': ['project_key', 'query_id'], 'unique': true},
            {'columns': ['project_key', 'date_key']},
            {'columns': ['project_key', 'conversation_key']},
            {'columns': ['_loaded_at']},
        ],
    )
}}

with queries as (
    {{ agent_rows(ref('stg_agent__queries'), 'query_id', 'updated_at') }}
),

final as (
    select
        project_key,
        query_id,
        {{ date_key('created_date') }} as date_key,
        created_date as business_date,
        created_at,
        {{ agent_key('project_key', 'ai', 'agent_name') }} as agent_key,
        agent_name,
        {{ surrogate_key(['project_key', 'conversation_id']) }} as conversation_key,
        conversation_id,
        query_length,
        is_approved,
        is_human_edited,
        1 as query_count,
        (is_approved is true)::int as approved_count,
        (is_approved is false)::int as rejected_count,
        (is_approved is null)::int as undecided_count,
        is_human_edited::int as edited_count,
        latency_ms,
        updated_at as _loaded_at,
        '{{ invocation_id }}'::text as _dbt_run_id
    from queries
)

select *
from final
order by project_key, created_at, query_id
