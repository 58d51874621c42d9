with source as (
    select * from {{ source('agent', 'agent_queries') }}
),

store as (
    {{ agent_store() }}
),

renamed as (
    select
        id as query_id,
        conversation_id,
        agent as agent_name,
        length(query) as query_length,
        approved as is_approved,
        coalesce(human_edited, false) as is_human_edited,
        latency_ms,
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
