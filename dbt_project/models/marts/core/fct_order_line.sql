{{
    config(
        incremental_strategy='delete+insert',
        unique_key=['project_key', 'order_id'],
        pre_hook=["{{ allow_nested_loops_for_few_orders() }}", "{{ delete_touched_orders() }}"],
        post_hook="{{ analyze_after_big_load() }}",
        indexes=[
            {'columns': ['project_key', 'order_line_id'], 'unique': true},
            {'columns': ['project_key', 'order_id']},
            {'columns': ['project_key', 'date_key']},
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

all_lines as (
    select * from {{ ref('stg_shopify__order_lines') }}
),

variants as (
    select project_key, variant_id, unit_cost_amount
    from {{ ref('stg_shopify__product_variants') }}
),

changed as (
    {{ touched_orders() }}
),

touched as (
    select project_key, order_id, _loaded_at
    from changed
    {% if incremental_run() %}
    union
    -- A changed cost re-values the lines of its variant, so that an increment ends where a full build would.
    select built.project_key, built.order_id, built._loaded_at
    from {{ this }} as built
    inner join variants
        on variants.project_key = built.project_key
        and variants.variant_id = built.variant_id
    where variants.unit_cost_amount is distinct from built.unit_cost_amount
        and not exists (
            select 1
            from changed
            where changed.project_key = built.project_key and changed.order_id = built.order_id
        )
    {% endif %}
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

sales as (
    select
        sales.project_key,
        sales.order_line_id,
        bool_or(sales.line_type = 'tip') as is_tip,
        sum(sales.quantity) as quantity,
        sum(sales.returned_quantity) as returned_quantity,
        sum(sales.returned_quantity) filter (where sales.reason = 'order_edit') as removed_quantity,
        sum(sales.gross_amount) as gross_amount,
        sum(sales.discount_amount) as discount_amount,
        sum(sales.returned_amount) as returned_amount,
        sum(sales.net_amount) as net_amount,
        sum(sales.tip_amount) filter (where sales.action_type <> 'return') as tip_amount,
        -sum(sales.tip_amount) filter (where sales.action_type = 'return') as returned_tip_amount,
        sum(sales.gift_card_amount) filter (where sales.action_type <> 'return') as gift_card_amount,
        -sum(sales.gift_card_amount) filter (where sales.action_type = 'return') as returned_gift_card_amount,
        sum(sales.tax_amount) filter (where sales.action_type <> 'return') as tax_amount,
        -sum(sales.tax_amount) filter (where sales.action_type = 'return') as returned_tax_amount
    from built_sales as sales
    inner join touched
        on touched.project_key = sales.project_key
        and touched.order_id = sales.order_id
    where sales.order_line_id is not null
    group by sales.project_key, sales.order_line_id
),

versions as (
    select
        sales.project_key,
        sales.order_id,
        bool_or(sales.is_inferred) as is_inferred,
        max(sales._loaded_at) as sales_loaded_at
    from built_sales as sales
    inner join touched
        on touched.project_key = sales.project_key
        and touched.order_id = sales.order_id
    group by sales.project_key, sales.order_id
),

lines as (
    select lines.*
    from all_lines as lines
    inner join touched
        on touched.project_key = lines.project_key
        and touched.order_id = lines.order_id
),

measured as (
    select
        lines.project_key,
        {{ surrogate_key(['lines.project_key', 'lines.order_line_id']) }} as order_line_key,
        lines.order_line_id,
        lines.order_id,
        orders.order_name,
        {{ date_key('orders.business_date') }} as date_key,
        orders.business_date,
        orders.processed_at,
        {{ date_key('orders.cancelled_date') }} as cancelled_date_key,
        orders.customer_key,
        orders.customer_id,
        {{ product_variant_key('lines.project_key', 'lines.variant_id') }} as product_variant_key,
        lines.product_id,
        lines.variant_id,
        orders.channel_key,
        orders.currency_code,
        orders.cancelled_at is not null as is_cancelled,
        orders.is_deleted,
        lines.is_gift_card,
        coalesce(sales.is_tip, false) as is_tip,
        orders.taxes_included as is_tax_included,
        coalesce(sales.quantity, 0)::bigint as quantity,
        coalesce(sales.returned_quantity, 0)::bigint as returned_quantity,
        coalesce(sales.removed_quantity, 0)::bigint as removed_quantity,
        coalesce(sales.gross_amount, 0) as gross_amount,
        coalesce(sales.discount_amount, 0) as discount_amount,
        coalesce(sales.returned_amount, 0) as returned_amount,
        coalesce(sales.net_amount, 0) as net_amount,
        coalesce(sales.tip_amount, 0) as tip_amount,
        coalesce(sales.returned_tip_amount, 0) as returned_tip_amount,
        coalesce(sales.gift_card_amount, 0) as gift_card_amount,
        coalesce(sales.returned_gift_card_amount, 0) as returned_gift_card_amount,
        coalesce(sales.tax_amount, 0) as tax_amount,
        coalesce(sales.returned_tax_amount, 0) as returned_tax_amount,
        variants.unit_cost_amount,
        variants.unit_cost_amount * (coalesce(sales.quantity, 0) - coalesce(sales.returned_quantity, 0)) as cost_amount,
        coalesce(versions.is_inferred, false) as is_inferred,
        {{ version_of_sales('versions.sales_loaded_at', 'orders.order_loaded_at') }} as _loaded_at
    from lines
    inner join orders
        on orders.project_key = lines.project_key
        and orders.order_id = lines.order_id
    left join sales
        on sales.project_key = lines.project_key
        and sales.order_line_id = lines.order_line_id
    left join versions
        on versions.project_key = lines.project_key
        and versions.order_id = lines.order_id
    left join variants
        on variants.project_key = lines.project_key
        and variants.variant_id = lines.variant_id
),

final as (
    select
        measured.*,
        net_amount - cost_amount as margin_amount,
        '{{ invocation_id }}'::text as _dbt_run_id
    from measured
)

select *
from final
order by project_key, date_key, order_line_id
