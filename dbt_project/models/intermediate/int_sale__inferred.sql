with valid_orders as (
    select * from {{ ref('int_order__valid') }}
),

orders as (
    {{ with_told('valid_orders') }}
),

untold as (
    select *
    from orders
    where not is_told
),

final as (
    {{ inferred_sales('untold') }}
)

select * from final
