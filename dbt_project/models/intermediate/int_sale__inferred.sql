with orders as (
    select * from {{ ref('int_order__valid') }}
),

agreements as (
    select distinct project_key, order_id
    from {{ ref('stg_shopify__order_agreements') }}
),

untold as (
    select orders.*
    from orders
    left join agreements
        on agreements.project_key = orders.project_key
        and agreements.order_id = orders.order_id
    where agreements.order_id is null
),

final as (
    {{ inferred_sales('untold') }}
)

select * from final
