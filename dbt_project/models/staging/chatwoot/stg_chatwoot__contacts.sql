with source as (
    select * from {{ source('raw_chatwoot', 'contacts') }}
),

renamed as (
    select
        project_key,
        contact_id,
        {{ personal_hash('name') }} as name_hash,
        {{ personal_hash('email') }} as email_hash,
        created_at,
        last_activity_at,
        _window,
        _loaded_at,
        _deleted_at is not null as is_deleted
    from source
),

final as (
    select * from renamed
)

select * from final
