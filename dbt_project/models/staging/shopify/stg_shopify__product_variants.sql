with source as (
    select * from {{ source('raw_shopify', 'product_variants') }}
),

renamed as (
    select
        project_key,
        product_id,
        variant_id,
        title,
        sku,
        barcode,
        price_amount,
        compare_at_amount,
        unit_cost_amount,
        inventory_quantity,
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
