with refund_lines as (
    select * from {{ ref('stg_shopify__refund_lines') }}
),

refunds as (
    select * from {{ ref('stg_shopify__refunds') }}
),

orders as (
    select * from {{ ref('int_order__valid') }}
),

final as (
    select
        refund_lines.project_key,
        refund_lines.order_id,
        refund_lines.refund_id,
        refund_lines.refund_line_id,
        refund_lines.order_line_id,
        refunds.refund_date,
        refund_lines.restock_type,
        refund_lines.quantity as returned_quantity,
        -- Where prices include tax, so does the refunded subtotal.
        refund_lines.subtotal_amount
        - case when orders.taxes_included then refund_lines.tax_amount else 0 end as returned_amount,
        refund_lines.tax_amount as returned_tax_amount
    from refund_lines
    inner join refunds
        on refunds.project_key = refund_lines.project_key
        and refunds.order_id = refund_lines.order_id
        and refunds.refund_id = refund_lines.refund_id
    inner join orders
        on orders.project_key = refund_lines.project_key
        and orders.order_id = refund_lines.order_id
)

select * from final
