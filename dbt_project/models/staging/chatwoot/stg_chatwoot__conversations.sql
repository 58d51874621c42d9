with source as (
    select * from {{ source('raw_chatwoot', 'conversations') }}
),

projects as (
    select project_key, iana_timezone from {{ ref('stg_ops__projects') }}
),

renamed as (
    select
        project_key,
        conversation_id,
        inbox_id,
        status,
        priority,
        labels,
        contact_id,
        -- A bot in charge is no agent. Servers that do not tell the kind assign people only.
        case when coalesce(assignee_type, 'User') = 'User' then assignee_id end as assignee_id,
        case when assignee_type <> 'User' then assignee_id end as assigned_bot_id,
        lower(regexp_replace(channel, '^Channel::', '')) as channel,
        created_at,
        updated_at,
        last_activity_at,
        first_reply_created_at,
        waiting_since,
        snoozed_until,
        _window,
        _loaded_at,
        _deleted_at is not null as is_deleted
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
