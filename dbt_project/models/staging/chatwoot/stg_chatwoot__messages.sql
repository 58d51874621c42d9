with source as (
    select * from {{ source('raw_chatwoot', 'messages') }}
),

projects as (
    select project_key, iana_timezone from {{ ref('stg_ops__projects') }}
),

renamed as (
    select
        project_key,
        message_id,
        conversation_id,
        inbox_id,
        case message_type when 0 then 'incoming' when 1 then 'outgoing' when 2 then 'activity' when 3 then 'template' else 'unknown' end as message_type,
        length(content) as content_length,
        content_type,
        is_private,
        lower(status) as status,
        sender_id,
        lower(sender_type) as sender_type,
        coalesce(lower(sender_type) = 'user', false) as is_from_agent,
        coalesce(lower(sender_type) not in ('user', 'contact'), false) as is_from_bot,
        created_at,
        _window,
        _loaded_at,
        _deleted_at is not null or coalesce(is_deleted, false) as is_deleted
    from source
),

final as (
    select
        renamed.*,
        {{ business_date('renamed.created_at') }} as created_date
    from renamed
    left join projects on projects.project_key = renamed.project_key
)

select * from final
