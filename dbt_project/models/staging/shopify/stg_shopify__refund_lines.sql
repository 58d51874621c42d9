with source as (
    select * from {{ source('raw_shopify', 'refund_lines') }}
),

renamed as (
    select
        project_key,
        order_id,
        refund_id,
        refund_line_id,
        order_line_id,
        quantity,
        lower(restock_type) as restock_type,
        subtotal_amount,
        tax_amount,
        _window,
        _loaded_at,
        _deleted_at is not null as is_deleted
    from source
),

final as (
    select * from renamed
)

select * from final
