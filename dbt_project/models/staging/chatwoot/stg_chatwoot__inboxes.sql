with source as (
    select * from {{ source('raw_chatwoot', 'inboxes') }}
),

renamed as (
    select
        project_key,
        inbox_id,
        name,
        lower(regexp_replace(channel_type, '^Channel::', '')) as channel_type,
        _window,
        _loaded_at,
        _deleted_at is not null as is_deleted
    from source
),

final as (
    select * from renamed
)

select * from final
