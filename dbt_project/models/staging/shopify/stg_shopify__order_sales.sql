with source as (
    select * from {{ source('raw_shopify', 'order_sales') }}
),

renamed as (
    select
        project_key,
        order_id,
        agreement_id,
        sale_id,
        lower(action_type) as action_type,
        lower(line_type) as line_type,
        order_line_id,
        quantity,
        total_amount,
        tax_amount,
        discount_amount,
        _window,
        _loaded_at,
        _deleted_at is not null as is_deleted
    from source
),

final as (
    select * from renamed
)

select * from final
