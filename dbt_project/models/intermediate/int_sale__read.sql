with orders as (
    select * from {{ ref('int_order__valid') }}
),

agreements as (
    select * from {{ ref('stg_shopify__order_agreements') }}
),

sales as (
    select * from {{ ref('stg_shopify__order_sales') }}
),

refunds as (
    select * from {{ ref('stg_shopify__refunds') }}
),

agreed as (
    select
        sales.project_key,
        sales.order_id,
        'agreed-' || sales.agreement_id || '-' || sales.sale_id as movement,
        sales.order_line_id,
        agreements.refund_id,
        -- An order may be entered or paid later than it was made; Shopify's reports date it by processed_at.
        case when agreements.reason = 'order' then orders.business_date else agreements.happened_date end as business_date,
        agreements.reason,
        sales.action_type,
        sales.line_type,
        sales.quantity,
        sales.total_amount - sales.tax_amount as amount,
        sales.discount_amount,
        sales.tax_amount
    from sales
    inner join agreements
        on agreements.project_key = sales.project_key
        and agreements.order_id = sales.order_id
        and agreements.agreement_id = sales.agreement_id
    inner join orders
        on orders.project_key = sales.project_key
        and orders.order_id = sales.order_id
),

-- What was rounded to coins is part of no sale.
payments_rounded as (
    select
        project_key,
        order_id,
        'payment-rounded' as movement,
        null::bigint as order_line_id,
        null::bigint as refund_id,
        business_date,
        'order' as reason,
        'order' as action_type,
        'rounding' as line_type,
        null::bigint as quantity,
        cash_rounding_amount as amount,
        0 as discount_amount,
        0 as tax_amount
    from orders
    where cash_rounding_amount <> 0
),

refunds_rounded as (
    select
        refunds.project_key,
        refunds.order_id,
        'refund-rounded-' || refunds.refund_id as movement,
        null::bigint as order_line_id,
        refunds.refund_id,
        refunds.refund_date as business_date,
        'refund' as reason,
        'return' as action_type,
        'rounding' as line_type,
        null::bigint as quantity,
        -refunds.rounding_amount as amount,
        0 as discount_amount,
        0 as tax_amount
    from refunds
    inner join orders
        on orders.project_key = refunds.project_key
        and orders.order_id = refunds.order_id
    where refunds.rounding_amount <> 0
),

final as (
    select * from agreed
    union all
    select * from payments_rounded
    union all
    select * from refunds_rounded
)

select * from final
