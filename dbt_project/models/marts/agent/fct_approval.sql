{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'approval_id'],
        indexes=[
            {'columns': ['project_key', 'approval_id'], 'unique': true},
            {'columns': ['project_key', 'date_key']},
            {'columns': ['project_key', 'conversation_key']},
            {'columns': ['_loaded_at']},
        ],
    )
}}

with approvals as (
    {{ agent_rows(ref('stg_agent__approvals'), 'approval_id', 'updated_at') }}
),

store as (
    {{ agent_store() }}
),

-- A decided row is frozen, so its last change is the decision. How long a pending one waits is asked of the clock.
decided as (
    select
        approvals.*,
        case when status <> 'pending' then updated_at end as decided_at
    from approvals
),

final as (
    select
        project_key,
        approval_id,
        {{ date_key('created_date') }} as date_key,
        created_date as business_date,
        created_at,
        {{ surrogate_key(['project_key', 'conversation_id']) }} as conversation_key,
        conversation_id,
        status,
        {{ user_key('project_key', 'operator_hash') }} as user_key,
        operator_hash,
        decided_at,
        {{ date_key(agent_date('decided_at')) }} as decided_date_key,
        extract(epoch from decided_at - created_at)::numeric(18, 3) as decision_seconds,
        decided_at - created_at > {{ var('agent_decision_minutes') }} * interval '1 minute' as is_breached,
        status = 'expired' as is_expired,
        interruption_count,
        1 as approval_count,
        (status = 'approved')::int as approved_count,
        (status = 'rejected')::int as rejected_count,
        (status = 'expired')::int as expired_count,
        (status = 'pending')::int as pending_count,
        updated_at as _loaded_at,
        '{{ invocation_id }}'::text as _dbt_run_id
    from decided
)

select *
from final
order by project_key, created_at, approval_id
