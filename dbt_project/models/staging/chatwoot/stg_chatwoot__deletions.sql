with source as (
    select * from {{ source('raw_chatwoot', 'deletions') }}
),

renamed as (
    select
        project_key,
        entity,
        entity_id,
        noticed_at,
        _window,
        _loaded_at
    from source
),

final as (
    select * from renamed
)

select * from final
