{{
    config(
        incremental_strategy='delete+insert',
        unique_key=['project_key', 'order_id'],
        pre_hook=["{{ allow_nested_loops_for_few_orders() }}", "{{ delete_touched_orders() }}"],
        post_hook="{{ analyze_after_big_load() }}",
        indexes=[
            {'columns': ['project_key', 'refund_line_key'], 'unique': true},
            {'columns': ['project_key', 'order_id']},
            {'columns': ['project_key', 'date_key']},
            {'columns': ['_loaded_at']},
        ],
    )
}}

with built_sales as (
    select * from {{ ref('fct_sale') }}
),

listed_lines as (
    select * from {{ ref('stg_shopify__order_lines') }}
),

listed_entries as (
    select * from {{ ref('stg_shopify__refund_lines') }}
),

touched as (
    {{ touched_orders() }}
),

sales as (
    select
        sales.project_key,
        sales.order_id,
        sales.refund_id,
        sales.order_line_id,
        sales.business_date,
        sales.customer_key,
        sales.customer_id,
        sales.channel_key,
        sales.currency_code,
        sales.is_deleted,
        sales.is_inferred,
        sales._loaded_at,
        sum(sales.returned_quantity)::bigint as quantity,
        sum(sales.returned_amount) as returned_amount,
        -sum(sales.gift_card_amount) as gift_card_amount,
        -sum(sales.tip_amount) as tip_amount,
        -sum(sales.tax_amount) as tax_amount
    from built_sales as sales
    inner join touched
        on touched.project_key = sales.project_key
        and touched.order_id = sales.order_id
    where sales.refund_id is not null
        and sales.order_line_id is not null
    group by
        sales.project_key, sales.order_id, sales.refund_id, sales.order_line_id, sales.business_date, sales.customer_key,
        sales.customer_id, sales.channel_key, sales.currency_code, sales.is_deleted, sales.is_inferred, sales._loaded_at
),

lines as (
    select
        lines.project_key,
        lines.order_line_id,
        lines.product_id,
        lines.variant_id
    from listed_lines as lines
    inner join touched
        on touched.project_key = lines.project_key
        and touched.order_id = lines.order_id
),

-- A refund may name a line in several entries, and need not do the same with the goods of each.
entries as (
    select
        entries.project_key,
        entries.refund_id,
        entries.order_line_id,
        string_agg(distinct entries.restock_type, ', ' order by entries.restock_type) as restock_type
    from listed_entries as entries
    inner join touched
        on touched.project_key = entries.project_key
        and touched.order_id = entries.order_id
    group by entries.project_key, entries.refund_id, entries.order_line_id
),

final as (
    select
        sales.project_key,
        {{ surrogate_key(['sales.project_key', 'sales.refund_id', 'sales.order_line_id']) }} as refund_line_key,
        sales.refund_id,
        sales.order_line_id,
        sales.order_id,
        {{ date_key('sales.business_date') }} as date_key,
        sales.business_date,
        sales.customer_key,
        sales.customer_id,
        {{ product_variant_key('sales.project_key', 'lines.variant_id') }} as product_variant_key,
        lines.product_id,
        lines.variant_id,
        sales.channel_key,
        sales.currency_code,
        entries.restock_type,
        sales.is_inferred,
        sales.is_deleted,
        sales.quantity,
        sales.returned_amount,
        sales.gift_card_amount,
        sales.tip_amount,
        sales.tax_amount,
        sales._loaded_at,
        '{{ invocation_id }}'::text as _dbt_run_id
    from sales
    left join lines
        on lines.project_key = sales.project_key
        and lines.order_line_id = sales.order_line_id
    left join entries
        on entries.project_key = sales.project_key
        and entries.refund_id = sales.refund_id
        and entries.order_line_id = sales.order_line_id
)

select *
from final
order by project_key, date_key, order_id
