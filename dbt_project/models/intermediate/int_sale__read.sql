with valid_orders as (
    select * from {{ ref('int_order__valid') }}
),

orders as (
    {{ with_told('valid_orders') }}
),

final as (
    {{ read_sales('orders') }}
)

select * from final
