with source as (
    select * from {{ source('agent', 'decision_sync_event_logs') }}
),

store as (
    {{ agent_store() }}
),

renamed as (
    select
        id as decision_event_id,
        decision_id,
        scope,
        status,
        attempt as attempt_number,
        duration_ms,
        error is not null as has_error,
        created_at
    from source
),

final as (
    select
        {{ agent_project_key() }} as project_key,
        renamed.*,
        {{ agent_date('renamed.created_at') }} as created_date
    from renamed
)

select * from final
