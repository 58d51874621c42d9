with orders as (
    select * from {{ ref('stg_shopify__orders') }}
),

final as (
    select
        orders.*,
        {{ customer_key('orders.project_key', 'orders.customer_id', 'orders.email_hash') }} as customer_key,
        {{ person_key('orders.project_key', 'orders.email_hash') }} as person_key,
        case
            when orders.utm_source is null and orders.utm_medium is null then {{ unknown_key() }}
            else {{
                channel_key(
                    'orders.project_key',
                    'orders.channel_group',
                    "coalesce(orders.utm_source, '(not set)')",
                    "coalesce(orders.utm_medium, '(not set)')",
                    'orders.utm_campaign',
                )
            }}
        end as channel_key
    from orders
    where not orders.is_test
)

select * from final
