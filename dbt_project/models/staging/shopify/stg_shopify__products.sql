with source as (
    select * from {{ source('raw_shopify', 'products') }}
),

renamed as (
    select
        project_key,
        product_id,
        title,
        handle,
        product_type,
        vendor,
        lower(status) as status,
        tags,
        created_at,
        updated_at,
        _window,
        _loaded_at,
        _deleted_at is not null as is_deleted
    from source
),

final as (
    select * from renamed
)

select * from final
