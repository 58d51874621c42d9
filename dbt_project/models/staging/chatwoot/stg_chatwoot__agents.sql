with source as (
    select * from {{ source('raw_chatwoot', 'agents') }}
),

renamed as (
    select
        project_key,
        agent_id,
        {{ personal_hash('email') }} as email_hash,
        role,
        _window,
        _loaded_at,
        _deleted_at is not null as is_deleted
    from source
),

final as (
    select * from renamed
)

select * from final
