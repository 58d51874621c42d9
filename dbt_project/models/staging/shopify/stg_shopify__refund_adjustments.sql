with source as (
    select * from {{ source('raw_shopify', 'refund_adjustments') }}
),

renamed as (
    select
        project_key,
        order_id,
        refund_id,
        adjustment_id,
        lower(reason) as reason,
        amount,
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
