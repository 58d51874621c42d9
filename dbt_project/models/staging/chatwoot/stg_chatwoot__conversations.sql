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
        assignee_id,
        lower(regexp_replace(channel, '^Channel::', '')) as channel,
        created_at,
        updated_at,
        last_activity_at,
        first_reply_created_at,
        waiting_since,
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
