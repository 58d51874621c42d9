with refunds as (
    select * from {{ ref('stg_shopify__refunds') }}
),

orders as (
    select * from {{ ref('int_order__valid') }}
),

lines as (
    select
        project_key,
        refund_id,
        sum(returned_amount + returned_tax_amount) as amount
    from {{ ref('int_refund_line__dated') }}
    group by project_key, refund_id
),

adjustments as (
    select
        project_key,
        refund_id,
        -sum(amount) filter (where reason = 'shipping_refund') as shipping_amount,
        -sum(tax_amount) filter (where reason = 'shipping_refund') as shipping_tax_amount,
        -sum(amount + tax_amount) filter (where reason is distinct from 'shipping_refund') as discrepancy_amount
    from {{ ref('stg_shopify__refund_adjustments') }}
    group by project_key, refund_id
),

-- Shipping refunds are listed apart from adjustments. Of a refund read before they were (shipping_amount is null), what no
-- line and no adjustment explains is shipping.
explained as (
    select
        refunds.project_key,
        refunds.order_id,
        refunds.refund_id,
        refunds.refund_date,
        refunds.refunded_amount - coalesce(refunds.rounding_amount, 0) as refunded_amount,
        -- Where prices include tax, so does the refunded shipping.
        coalesce(adjustments.shipping_amount, 0)
        + coalesce(refunds.shipping_amount, 0)
        - case when orders.taxes_included then coalesce(refunds.shipping_tax_amount, 0) else 0 end as shipping_amount,
        coalesce(adjustments.shipping_tax_amount, 0) + coalesce(refunds.shipping_tax_amount, 0) as shipping_tax_amount,
        coalesce(adjustments.discrepancy_amount, 0) as discrepancy_amount,
        refunds.duty_amount,
        case when refunds.shipping_amount is null then orders.shipping_amount else 0 end as most_shipping_amount,
        coalesce(lines.amount, 0) as line_amount
    from refunds
    inner join orders
        on orders.project_key = refunds.project_key
        and orders.order_id = refunds.order_id
    left join lines
        on lines.project_key = refunds.project_key
        and lines.refund_id = refunds.refund_id
    left join adjustments
        on adjustments.project_key = refunds.project_key
        and adjustments.refund_id = refunds.refund_id
),

rested as (
    select
        explained.*,
        refunded_amount - line_amount - shipping_amount - shipping_tax_amount - duty_amount - discrepancy_amount as rest_amount
    from explained
),

final as (
    select
        project_key,
        order_id,
        refund_id,
        refund_date,
        (shipping_amount + case when rest_amount between 0 and most_shipping_amount then rest_amount else 0 end)
        ::numeric(18, 4) as returned_shipping_amount,
        shipping_tax_amount::numeric(18, 4) as returned_shipping_tax_amount,
        duty_amount::numeric(18, 4) as returned_duty_amount,
        (discrepancy_amount + case when rest_amount between 0 and most_shipping_amount then 0 else rest_amount end)
        ::numeric(18, 4) as refund_discrepancy_amount
    from rested
)

select * from final
