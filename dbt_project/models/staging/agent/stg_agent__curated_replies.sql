with source as (
    select * from {{ source('agent', 'support_curated_replies') }}
),

store as (
    {{ agent_store() }}
),

renamed as (
    select
        id as curated_reply_id,
        conversation_id,
        source_message_id,
        length(message_body) as body_length,
        tags,
        {{ personal_hash('approver') }} as approver_hash,
        approved_at,
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
