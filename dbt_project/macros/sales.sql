{#
    What moved in orders as Shopify's sales agreements tell it, and what was rounded to coins: a row a movement. `orders`
    names such rows of int_order__valid with `is_told` beside them; only their sales are read.
#}
{% macro read_sales(orders) -%}
with agreed as (
    select
        sales.project_key,
        sales.order_id,
        'agreed-' || sales.agreement_id || '-' || sales.sale_id as movement,
        sales.order_line_id,
        agreements.refund_id,
        -- An order may be entered or paid later than it was made; Shopify's reports date it by processed_at.
        case when agreements.reason = 'order' then listed.business_date else agreements.happened_date end as business_date,
        agreements.reason,
        sales.action_type,
        -- Of a line that the order does not list no line's sum could hold it.
        case
            when sales.line_type in ('product', 'gift_card', 'tip') and lines.order_line_id is null then 'unknown'
            else sales.line_type
        end as line_type,
        sales.quantity,
        sales.total_amount - sales.tax_amount as amount,
        sales.discount_amount,
        sales.tax_amount
    from {{ ref('stg_shopify__order_sales') }} as sales
    inner join {{ ref('stg_shopify__order_agreements') }} as agreements
        on agreements.project_key = sales.project_key
        and agreements.order_id = sales.order_id
        and agreements.agreement_id = sales.agreement_id
    inner join {{ orders }} as listed
        on listed.project_key = sales.project_key
        and listed.order_id = sales.order_id
    left join {{ ref('stg_shopify__order_lines') }} as lines
        on lines.project_key = sales.project_key
        and lines.order_id = sales.order_id
        and lines.order_line_id = sales.order_line_id
    where listed.is_told
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
    from {{ orders }}
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
    from {{ ref('stg_shopify__refunds') }} as refunds
    inner join {{ orders }} as listed
        on listed.project_key = refunds.project_key
        and listed.order_id = refunds.order_id
    where refunds.rounding_amount <> 0
)

select * from agreed
union all
select * from payments_rounded
union all
select * from refunds_rounded
{%- endmacro %}


{#
    What moved in orders that tell no sales agreements, worked out of their lines, refunds and charges: a row a movement,
    as read_sales has it. `orders` names such rows of int_order__valid; only their lines are read.
#}
{% macro inferred_sales(orders) -%}
with returned as (
    select
        project_key,
        order_id,
        order_line_id,
        sum(returned_quantity)::bigint as quantity,
        sum(returned_amount) as amount,
        sum(returned_tax_amount) as tax_amount
    from {{ ref('int_refund_line__dated') }}
    group by project_key, order_id, order_line_id
),

lines as (
    select
        lines.project_key,
        lines.order_id,
        lines.order_line_id,
        untold.business_date,
        coalesce(untold.cancelled_date, untold.business_date) as removed_date,
        untold.taxes_included,
        case
            when lines.is_gift_card then 'gift_card'
            -- Nothing marks the line of a tip but that it is no goods, on an order that was tipped.
            when untold.tip_amount > 0 and lines.product_id is null and lines.sku is null
                and not (lines.is_taxable or lines.requires_shipping) then 'tip'
            else 'product'
        end as line_type,
        lines.quantity,
        lines.gross_amount,
        lines.discount_amount,
        lines.tax_amount,
        -- Sales are counted without tax, also where prices include it.
        lines.gross_amount - lines.discount_amount - case when untold.taxes_included then lines.tax_amount else 0 end as amount,
        greatest(lines.quantity - lines.current_quantity - coalesce(returned.quantity, 0), 0) as removed_quantity,
        lines.current_quantity = 0 as is_gone,
        coalesce(returned.amount, 0) as returned_amount,
        coalesce(returned.tax_amount, 0) as returned_tax_amount
    from {{ ref('stg_shopify__order_lines') }} as lines
    inner join {{ orders }} as untold
        on untold.project_key = lines.project_key
        and untold.order_id = lines.order_id
    left join returned
        on returned.project_key = lines.project_key
        and returned.order_id = lines.order_id
        and returned.order_line_id = lines.order_line_id
),

-- Units taken off without a refund (an edit, or the cancellation of an unpaid order) go at their share of the price.
removed as (
    select
        lines.*,
        case
            when is_gone then amount - returned_amount
            -- A price with its tax inside is rounded as a whole: what is no tax of it is the rest.
            when taxes_included
                then round((amount + tax_amount) * removed_quantity / quantity, 2) - round(tax_amount * removed_quantity / quantity, 2)
            else round(amount * removed_quantity / quantity, 2)
        end as removed_amount,
        case
            when is_gone then tax_amount - returned_tax_amount
            else round(tax_amount * removed_quantity / quantity, 2)
        end as removed_tax_amount
    from lines
    where removed_quantity > 0
),

line_sums as (
    select
        project_key,
        order_id,
        sum(gross_amount) filter (where line_type <> 'tip') as gross_amount,
        sum(discount_amount) filter (where line_type = 'product') as discount_amount,
        sum(tax_amount) as tax_amount
    from lines
    group by project_key, order_id
),

charged as (
    select
        untold.project_key,
        untold.order_id,
        untold.business_date,
        untold.cancelled_date,
        untold.cancelled_at is not null and untold.financial_status = 'voided' as is_voided,
        untold.duty_amount,
        untold.fee_amount,
        untold.tax_amount - coalesce(line_sums.tax_amount, 0) as shipping_tax_amount,
        -- The listed shipping is the price before discounts: what discounts exceed those of the lines was given on it.
        untold.shipping_amount
        - greatest(untold.discount_amount - (coalesce(line_sums.gross_amount, 0) - untold.subtotal_amount), 0)
        - case when untold.taxes_included then untold.tax_amount - coalesce(line_sums.tax_amount, 0) else 0 end as shipping_amount
    from {{ orders }} as untold
    left join line_sums
        on line_sums.project_key = untold.project_key
        and line_sums.order_id = untold.order_id
),

refunded as (
    select
        project_key,
        order_id,
        sum(returned_shipping_amount) as shipping_amount,
        sum(returned_shipping_tax_amount) as shipping_tax_amount,
        sum(returned_duty_amount) as duty_amount
    from {{ ref('int_refund__split') }}
    group by project_key, order_id
),

-- A voided order was never paid: what it no longer charges has no refund to tell of it.
voided as (
    select
        charged.project_key,
        charged.order_id,
        charged.cancelled_date,
        charged.shipping_amount - coalesce(refunded.shipping_amount, 0) as shipping_amount,
        charged.shipping_tax_amount - coalesce(refunded.shipping_tax_amount, 0) as shipping_tax_amount,
        charged.duty_amount - coalesce(refunded.duty_amount, 0) as duty_amount,
        charged.fee_amount
    from charged
    left join refunded
        on refunded.project_key = charged.project_key
        and refunded.order_id = charged.order_id
    where charged.is_voided
),

movements as (
    select
        project_key, order_id, 'sold-' || order_line_id as movement, order_line_id, null::bigint as refund_id, business_date,
        'order' as reason, 'order' as action_type, line_type, quantity, amount, discount_amount, tax_amount
    from lines
    union all
    select
        project_key, order_id, 'removed-' || order_line_id, order_line_id, null, removed_date,
        'order_edit', 'return', line_type, -removed_quantity, -removed_amount, 0, -removed_tax_amount
    from removed
    union all
    select
        refund_lines.project_key, refund_lines.order_id,
        'returned-' || refund_lines.refund_id || '-' || refund_lines.refund_line_id,
        refund_lines.order_line_id, refund_lines.refund_id, refund_lines.refund_date,
        'refund', 'return', lines.line_type, -refund_lines.returned_quantity, -refund_lines.returned_amount, 0,
        -refund_lines.returned_tax_amount
    from {{ ref('int_refund_line__dated') }} as refund_lines
    inner join lines
        on lines.project_key = refund_lines.project_key
        and lines.order_id = refund_lines.order_id
        and lines.order_line_id = refund_lines.order_line_id
    {%- for charge, tax in {'shipping': 'shipping_tax_amount', 'duty': '0', 'additional_fee': '0'}.items() %}
    {%- set amount = 'fee_amount' if charge == 'additional_fee' else charge ~ '_amount' %}
    union all
    select
        project_key, order_id, '{{ charge }}-charged', null, null, business_date,
        'order', 'order', '{{ charge }}', null, {{ amount }}, 0, {{ tax }}
    from charged
    where {{ amount }} <> 0 or {{ tax }} <> 0
    union all
    select
        project_key, order_id, '{{ charge }}-voided', null, null, cancelled_date,
        'order_edit', 'return', '{{ charge }}', null, -{{ amount }}, 0, -{{ tax }}
    from voided
    where {{ amount }} <> 0 or {{ tax }} <> 0
    {%- endfor %}
    {%- for charge, amount, tax in [
        ('shipping', 'returned_shipping_amount', 'returned_shipping_tax_amount'),
        ('duty', 'returned_duty_amount', '0'),
        ('adjustment', 'refund_discrepancy_amount', '0'),
    ] %}
    union all
    select
        refunds.project_key, refunds.order_id, '{{ charge }}-returned-' || refunds.refund_id, null, refunds.refund_id,
        refunds.refund_date, 'refund', 'return', '{{ charge }}', null, -refunds.{{ amount }}, 0,
        -{{ 'refunds.' ~ tax if tax != '0' else '0' }}
    from {{ ref('int_refund__split') }} as refunds
    inner join {{ orders }} as untold
        on untold.project_key = refunds.project_key
        and untold.order_id = refunds.order_id
    where refunds.{{ amount }} <> 0{% if tax != '0' %} or refunds.{{ tax }} <> 0{% endif %}
    {%- endfor %}
)

select * from movements
{%- endmacro %}


{#
    Rows of int_order__valid with `is_told`: whether the agreement of the placed order is there. An order that has only later
    ones (it is older than the field) would be all returns and no sale.
#}
{% macro with_told(orders) -%}
    select
        orders.*,
        told.order_id is not null as is_told
    from {{ orders }} as orders
    left join (
        select distinct project_key, order_id
        from {{ ref('stg_shopify__order_agreements') }}
        where reason = 'order'
    ) as told
        on told.project_key = orders.project_key
        and told.order_id = orders.order_id
{%- endmacro %}
