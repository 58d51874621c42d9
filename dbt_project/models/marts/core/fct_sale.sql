{{
    config(
        incremental_strategy='delete+insert',
        unique_key=['project_key', 'order_id'],
        pre_hook=["{{ allow_nested_loops_for_few_orders() }}", "{{ delete_touched_orders() }}"],
        post_hook="{{ analyze_after_big_load() }}",
        indexes=[
            {'columns': ['project_key', 'sale_key'], 'unique': true},
            {'columns': ['project_key', 'order_id']},
            {'columns': ['project_key', 'date_key']},
            {'columns': ['_loaded_at']},
        ],
    )
}}

with valid_orders as (
    select * from {{ ref('int_order__valid') }}
),

touched as (
    {{ touched_orders() }}
),

touched_orders as (
    select
        valid_orders.*,
        touched._loaded_at as order_loaded_at
    from valid_orders
    inner join touched
        on touched.project_key = valid_orders.project_key
        and touched.order_id = valid_orders.order_id
),

orders as (
    {{ with_told('touched_orders') }}
),

untold as (
    select *
    from orders
    where not is_told
),

read_sales as (
    {{ read_sales('orders') }}
),

inferred_sales as (
    {{ inferred_sales('untold') }}
),

sales as (
    select * from read_sales
    union all
    select * from inferred_sales
),

-- Each kind of movement in its own measure, without tax; what came back of goods is a return, not a smaller sale.
measured as (
    select
        sales.*,
        case when line_type = 'product' and action_type <> 'return' then amount + discount_amount else 0 end as gross_amount,
        case when line_type = 'product' and action_type <> 'return' then discount_amount else 0 end as given_amount,
        case when line_type = 'product' and action_type = 'return' then -amount else 0 end as returned_amount,
        case when line_type = 'product' then amount else 0 end as net_amount,
        case when line_type = 'shipping' then amount else 0 end as shipping_amount,
        case when line_type = 'tip' then amount else 0 end as tip_amount,
        case when line_type = 'duty' then amount else 0 end as duty_amount,
        case when line_type in ('fee', 'additional_fee') then amount else 0 end as fee_amount,
        case when line_type = 'rounding' then amount else 0 end as rounding_amount,
        case when line_type = 'gift_card' then amount else 0 end as gift_card_amount,
        -- More given back than the parts of a refund are worth is positive, whatever tax was counted with it.
        case when line_type = 'adjustment' then -(amount + tax_amount) else 0 end as refund_discrepancy_amount,
        case when line_type = 'adjustment' then 0 else tax_amount end as counted_tax_amount
    from sales
),

final as (
    select
        measured.project_key,
        {{ surrogate_key(['measured.project_key', 'measured.order_id', 'measured.movement']) }} as sale_key,
        measured.order_id,
        measured.order_line_id,
        measured.refund_id,
        {{ date_key('measured.business_date') }} as date_key,
        measured.business_date,
        measured.reason,
        measured.action_type,
        measured.line_type,
        orders.customer_key,
        orders.customer_id,
        orders.channel_key,
        orders.currency_code,
        not orders.is_told as is_inferred,
        orders.is_deleted,
        case
            when measured.action_type = 'order' and measured.line_type in ('product', 'gift_card') then coalesce(measured.quantity, 0)
            else 0
        end as quantity,
        case
            when measured.action_type = 'return' and measured.line_type in ('product', 'gift_card') then -coalesce(measured.quantity, 0)
            else 0
        end as returned_quantity,
        measured.gross_amount,
        measured.given_amount as discount_amount,
        measured.returned_amount,
        measured.net_amount,
        measured.counted_tax_amount as tax_amount,
        measured.shipping_amount,
        measured.tip_amount,
        measured.duty_amount,
        measured.fee_amount,
        measured.rounding_amount,
        measured.net_amount + measured.counted_tax_amount + measured.shipping_amount + measured.tip_amount + measured.duty_amount
        + measured.fee_amount + measured.rounding_amount as total_amount,
        measured.gift_card_amount,
        measured.refund_discrepancy_amount,
        orders.order_loaded_at as _loaded_at,
        '{{ invocation_id }}'::text as _dbt_run_id
    from measured
    inner join orders
        on orders.project_key = measured.project_key
        and orders.order_id = measured.order_id
)

select *
from final
order by project_key, date_key, order_id
