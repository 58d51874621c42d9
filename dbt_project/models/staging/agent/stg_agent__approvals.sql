with source as (
    select * from {{ source('agent', 'agent_approvals') }}
),

store as (
    {{ agent_store() }}
),

renamed as (
    select
        id as approval_id,
        conversation_id,
        coalesce(jsonb_array_length(last_interruptions), 0) as interruption_count,
        {{ personal_hash('approved_by') }} as operator_hash,
        status,
        created_at,
        updated_at
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
