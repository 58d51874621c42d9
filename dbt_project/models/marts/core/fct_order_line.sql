{{
    config(
        incremental_strategy='delete+insert',
        unique_key=['project_key', 'order_id'],
        pre_hook=["{{ allow_nested_loops_for_few_orders() }}", "{{ delete_vanished_lines() }}"],
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

dated_refund_lines as (
    select * from {{ ref('int_refund_line__dated') }}
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

returns as (
    select
        refund_lines.project_key,
        refund_lines.order_line_id,
        sum(refund_lines.returned_quantity)::bigint as quantity,
        sum(refund_lines.returned_amount) as amount,
        sum(refund_lines.returned_tax_amount) as tax_amount
    from dated_refund_lines as refund_lines
    inner join touched
        on touched.project_key = refund_lines.project_key
        and touched.order_id = refund_lines.order_id
    group by refund_lines.project_key, refund_lines.order_line_id
),

lines as (
    select lines.*
    from all_lines as lines
    inner join touched
        on touched.project_key = lines.project_key
        and touched.order_id = lines.order_id
),

priced as (
    select
        orders.*,
        lines.order_line_id,
        lines.product_id,
        lines.variant_id,
        lines.is_gift_card,
        -- Nothing marks the line of a tip but that it is no goods, on an order that was tipped.
        orders.tip_amount > 0 and lines.product_id is null and lines.sku is null
        and not (lines.is_gift_card or lines.is_taxable or lines.requires_shipping) as is_tip,
        lines.quantity,
        lines.tax_amount as line_tax_amount,
        lines.discount_amount as line_discount_amount,
        -- Sales are counted without tax, also where prices include it.
        lines.gross_amount - case when orders.taxes_included then lines.tax_amount else 0 end as sold_amount,
        lines.gross_amount - lines.discount_amount
        - case when orders.taxes_included then lines.tax_amount else 0 end as sold_net_amount,
        coalesce(returns.quantity, 0) as refunded_quantity,
        coalesce(returns.amount, 0) as refunded_line_amount,
        coalesce(returns.tax_amount, 0) as refunded_tax_amount,
        greatest(lines.quantity - lines.current_quantity - coalesce(returns.quantity, 0), 0) as removed_quantity,
        lines.current_quantity = 0 as is_gone
    from lines
    inner join orders
        on orders.project_key = lines.project_key
        and orders.order_id = lines.order_id
    left join returns
        on returns.project_key = lines.project_key
        and returns.order_line_id = lines.order_line_id
),

-- Units taken off without a refund (an edit, or the cancellation of an unpaid order) go at their share of the price.
reversed as (
    select
        priced.*,
        case
            when removed_quantity = 0 then 0
            when is_gone then sold_net_amount - refunded_line_amount
            -- A price with its tax inside is rounded as a whole: what is no tax of it is the rest.
            when taxes_included
                then round((sold_net_amount + line_tax_amount) * removed_quantity / quantity, 2)
                    - round(line_tax_amount * removed_quantity / quantity, 2)
            else round(sold_net_amount * removed_quantity / quantity, 2)
        end as removed_net_amount,
        case
            when removed_quantity = 0 then 0
            when is_gone then line_tax_amount - refunded_tax_amount
            else round(line_tax_amount * removed_quantity / quantity, 2)
        end as removed_tax_amount
    from priced
),

measured as (
    select
        reversed.project_key,
        {{ surrogate_key(['reversed.project_key', 'reversed.order_line_id']) }} as order_line_key,
        reversed.order_line_id,
        reversed.order_id,
        reversed.order_name,
        {{ date_key('reversed.business_date') }} as date_key,
        reversed.business_date,
        reversed.processed_at,
        {{ date_key('reversed.cancelled_date') }} as cancelled_date_key,
        reversed.customer_key,
        reversed.customer_id,
        {{ product_variant_key('reversed.project_key', 'reversed.variant_id') }} as product_variant_key,
        reversed.product_id,
        reversed.variant_id,
        reversed.channel_key,
        reversed.currency_code,
        reversed.cancelled_at is not null as is_cancelled,
        reversed.is_deleted,
        reversed.is_gift_card,
        reversed.is_tip,
        reversed.taxes_included as is_tax_included,
        reversed.quantity,
        reversed.refunded_quantity + reversed.removed_quantity as returned_quantity,
        reversed.removed_quantity,
        case when reversed.is_gift_card or reversed.is_tip then 0 else reversed.sold_amount end as gross_amount,
        case when reversed.is_gift_card or reversed.is_tip then 0 else reversed.line_discount_amount end as discount_amount,
        case
            when reversed.is_gift_card or reversed.is_tip then 0
            else reversed.refunded_line_amount + reversed.removed_net_amount
        end as returned_amount,
        case when reversed.is_tip then reversed.sold_net_amount else 0 end as tip_amount,
        case when reversed.is_tip then reversed.refunded_line_amount + reversed.removed_net_amount else 0 end as returned_tip_amount,
        case when reversed.is_gift_card then reversed.sold_net_amount else 0 end as gift_card_amount,
        case when reversed.is_gift_card then reversed.refunded_line_amount + reversed.removed_net_amount else 0 end as returned_gift_card_amount,
        reversed.removed_net_amount as removed_amount,
        reversed.line_tax_amount as tax_amount,
        reversed.refunded_tax_amount + reversed.removed_tax_amount as returned_tax_amount,
        reversed.removed_tax_amount,
        variants.unit_cost_amount,
        variants.unit_cost_amount * (reversed.quantity - reversed.refunded_quantity - reversed.removed_quantity) as cost_amount,
        reversed.order_loaded_at as _loaded_at
    from reversed
    left join variants
        on variants.project_key = reversed.project_key
        and variants.variant_id = reversed.variant_id
),

final as (
    select
        measured.*,
        gross_amount - discount_amount - returned_amount as net_amount,
        gross_amount - discount_amount - returned_amount - cost_amount as margin_amount,
        '{{ invocation_id }}'::text as _dbt_run_id
    from measured
)

select *
from final
order by project_key, date_key, order_line_id
