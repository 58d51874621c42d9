with source as (
    select * from {{ source('raw_shopify', 'order_lines') }}
),

renamed as (
    select
        project_key,
        order_id,
        order_line_id,
        product_id,
        variant_id,
        sku,
        title,
        variant_title,
        vendor,
        is_gift_card,
        requires_shipping,
        is_taxable,
        quantity,
        current_quantity,
        unit_price_amount,
        gross_amount,
        discount_amount,
        tax_amount,
        currency_code,
        _window,
        _loaded_at,
        _deleted_at is not null as is_deleted
    from source
),

final as (
    select * from renamed
)

select * from final
