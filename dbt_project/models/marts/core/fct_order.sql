{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'order_id'],
        pre_hook=["{{ allow_nested_loops_for_few_orders() }}", "{{ delete_touched_orders() }}"],
        post_hook="{{ analyze_after_big_load() }}",
        indexes=[
            {'columns': ['project_key', 'order_id'], 'unique': true},
            {'columns': ['project_key', 'date_key']},
            {'columns': ['project_key', 'customer_key']},
            {'columns': ['_loaded_at']},
        ],
    )
}}

with valid_orders as (
    select * from {{ ref('int_order__valid') }}
),

built_sales as (
    select * from {{ ref('fct_sale') }}
),

listed_lines as (
    select * from {{ ref('stg_shopify__order_lines') }}
),

all_refunds as (
    select * from {{ ref('stg_shopify__refunds') }}
),

touched as (
    {{ touched_orders() }}
),

orders as (
    select
        orders.*,
        touched._loaded_at as order_loaded_at
    from valid_orders as orders
    inner join touched
        on touched.project_key = orders.project_key
        and touched.order_id = orders.order_id
),

lines as (
    select
        lines.project_key,
        lines.order_id,
        count(*) as line_count
    from listed_lines as lines
    inner join touched
        on touched.project_key = lines.project_key
        and touched.order_id = lines.order_id
    group by lines.project_key, lines.order_id
),

refunds as (
    select
        refunds.project_key,
        refunds.order_id,
        count(*) as refund_count,
        min(refunds.refund_date) as first_refund_date
    from all_refunds as refunds
    inner join touched
        on touched.project_key = refunds.project_key
        and touched.order_id = refunds.order_id
    group by refunds.project_key, refunds.order_id
),

sales as (
    select
        sales.project_key,
        sales.order_id,
        bool_or(sales.is_inferred) as is_inferred,
        bool_or(sales.reason = 'order_edit') as is_edited,
        bool_or(sales.line_type = 'unknown' or sales.action_type = 'unknown') as has_unknown,
        max(sales._loaded_at) as sales_loaded_at,
        sum(sales.quantity) as quantity,
        sum(sales.returned_quantity) as returned_quantity,
        sum(sales.gross_amount) as gross_amount,
        sum(sales.discount_amount) as discount_amount,
        sum(sales.returned_amount) as returned_amount,
        sum(sales.net_amount) as net_amount,
        {%- for measure in ['tax', 'shipping', 'tip', 'duty', 'fee', 'gift_card'] %}
        sum(sales.{{ measure }}_amount) filter (where sales.action_type <> 'return') as {{ measure }}_amount,
        -sum(sales.{{ measure }}_amount) filter (where sales.action_type = 'return') as returned_{{ measure }}_amount,
        {%- endfor %}
        sum(sales.rounding_amount) filter (where sales.action_type <> 'return') as cash_rounding_amount,
        -sum(sales.rounding_amount) filter (where sales.action_type = 'return') as refund_rounding_amount,
        sum(sales.refund_discrepancy_amount) as refund_discrepancy_amount,
        sum(sales.total_amount + sales.gift_card_amount - sales.rounding_amount) as kept_amount,
        sum(sales.shipping_amount) as kept_shipping_amount,
        sum(sales.tax_amount) filter (where sales.line_type = 'shipping') as kept_shipping_tax_amount
    from built_sales as sales
    inner join touched
        on touched.project_key = sales.project_key
        and touched.order_id = sales.order_id
    group by sales.project_key, sales.order_id
),

witnessed as (
    select
        orders.project_key,
        orders.order_id,
        coalesce(sales.kept_amount, 0) as kept_amount,
        coalesce(sales.refund_discrepancy_amount, 0) as discrepancy_amount,
        coalesce(sales.kept_shipping_amount, 0)
        + case when orders.taxes_included then coalesce(sales.kept_shipping_tax_amount, 0) else 0 end as kept_shipping_amount,
        -- Shares of a price are rounded where nobody tells them.
        case when sales.is_inferred then 0.05 else 0 end as tolerance
    from orders
    left join sales
        on sales.project_key = orders.project_key
        and sales.order_id = orders.order_id
),

final as (
    select
        orders.project_key,
        {{ surrogate_key(['orders.project_key', 'orders.order_id']) }} as order_key,
        orders.order_id,
        orders.order_name,
        {{ date_key('orders.business_date') }} as date_key,
        orders.business_date,
        {{ date_key('orders.created_date') }} as created_date_key,
        {{ date_key('orders.cancelled_date') }} as cancelled_date_key,
        orders.cancelled_date,
        {{ date_key('refunds.first_refund_date') }} as first_refund_date_key,
        orders.processed_at,
        orders.created_at,
        orders.updated_at,
        orders.cancelled_at,
        orders.closed_at,
        orders.customer_key,
        orders.customer_id,
        orders.person_key,
        orders.channel_key,
        orders.source_name,
        orders.landing_path,
        orders.shipping_country_code,
        orders.shipping_province_code,
        orders.financial_status,
        orders.fulfillment_status,
        orders.cancel_reason,
        orders.customer_order_number,
        orders.customer_order_number = 1 as is_first_order,
        orders.customer_id is null as is_guest,
        orders.cancelled_at is not null as is_cancelled,
        orders.cancelled_at is not null and orders.financial_status = 'voided' as is_voided,
        coalesce(orders.financial_status in ('paid', 'partially_refunded', 'refunded'), false) as is_paid,
        coalesce(sales.is_edited, false) and orders.cancelled_at is null as is_edited,
        orders.is_deleted,
        orders.taxes_included as is_tax_included,
        coalesce(sales.is_inferred, false) as is_inferred,
        orders.currency_code,
        orders.presentment_currency_code,
        coalesce(lines.line_count, 0)::int as line_count,
        coalesce(sales.quantity, 0)::bigint as quantity,
        coalesce(sales.returned_quantity, 0)::bigint as returned_quantity,
        coalesce(refunds.refund_count, 0)::int as refund_count,
        coalesce(sales.gross_amount, 0) as gross_amount,
        coalesce(sales.discount_amount, 0) as discount_amount,
        coalesce(sales.returned_amount, 0) as returned_amount,
        coalesce(sales.net_amount, 0) as net_amount,
        {%- for measure in ['gift_card', 'tax', 'shipping', 'tip', 'duty', 'fee'] %}
        coalesce(sales.{{ measure }}_amount, 0) as {{ measure }}_amount,
        coalesce(sales.returned_{{ measure }}_amount, 0) as returned_{{ measure }}_amount,
        {%- endfor %}
        coalesce(sales.cash_rounding_amount, 0) as cash_rounding_amount,
        orders.total_amount,
        orders.current_total_amount,
        orders.refunded_amount,
        coalesce(sales.refund_discrepancy_amount, 0) as refund_discrepancy_amount,
        coalesce(sales.refund_rounding_amount, 0) as refund_rounding_amount,
        orders.presentment_total_amount,
        case
            when sales.has_unknown then 'a movement is of a kind, or names a line, that is not known here'
            -- The schema does not say whether a gesture beyond what came back is part of the current total.
            when
                abs(witnessed.kept_amount - orders.current_total_amount) > witnessed.tolerance
                and abs(witnessed.kept_amount - witnessed.discrepancy_amount - orders.current_total_amount) > witnessed.tolerance
                then 'the sales come to ' || round(witnessed.kept_amount, 2) || ', the order says ' || round(orders.current_total_amount, 2)
            when abs(witnessed.kept_shipping_amount - orders.current_shipping_amount) > witnessed.tolerance
                then 'shipping comes to ' || round(witnessed.kept_shipping_amount, 2) || ', the order says ' || round(orders.current_shipping_amount, 2)
        end as unreconciled_reason,
        {{ version_of_sales('sales.sales_loaded_at', 'orders.order_loaded_at') }} as _loaded_at,
        '{{ invocation_id }}'::text as _dbt_run_id
    from orders
    inner join witnessed
        on witnessed.project_key = orders.project_key
        and witnessed.order_id = orders.order_id
    left join sales
        on sales.project_key = orders.project_key
        and sales.order_id = orders.order_id
    left join lines
        on lines.project_key = orders.project_key
        and lines.order_id = orders.order_id
    left join refunds
        on refunds.project_key = orders.project_key
        and refunds.order_id = orders.order_id
)

select *
from final
order by project_key, date_key, order_id
