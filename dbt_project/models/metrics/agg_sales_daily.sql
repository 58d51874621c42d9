{{
    config(
        incremental_strategy='delete+insert',
        unique_key=['project_key', 'business_date'],
        pre_hook="{{ delete_vanished_days('business_date', [(counted(ref('fct_order')), 'business_date'), (counted(ref('fct_order')), 'cancelled_date'), (counted(ref('int_refund__split')), 'refund_date')]) }}",
        indexes=[{'columns': ['project_key', 'business_date', 'channel_key'], 'unique': true}],
    )
}}

with dated_refund_lines as (
    select * from {{ ref('int_refund_line__dated') }}
),

projects as (
    select * from {{ ref('dim_project') }}
),

orders as (
    select * from {{ counted(ref('fct_order')) }} as orders
),

lines as (
    select * from {{ counted(ref('fct_order_line')) }} as lines
),

customers as (
    select * from {{ ref('dim_customer') }}
),

days as (
    {{ days_of('shopify', 'orders') }}
),

-- Every movement with its own day: sales on the day of the order, what comes back on the day it came back.
orders_placed as (
    select
        project_key,
        business_date,
        channel_key,
        count(*) as order_count,
        count(*) filter (where is_cancelled) as cancelled_order_count,
        sum(quantity) as ordered_quantity,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount,
        sum(gift_card_amount) as gift_card_amount,
        sum(tax_amount) as tax_amount,
        sum(shipping_amount) as shipping_amount,
        -- Rows from before these columns have none.
        coalesce(sum(tip_amount), 0) as tip_amount,
        coalesce(sum(duty_amount), 0) as duty_amount,
        coalesce(sum(cash_rounding_amount), 0) as cash_rounding_amount
    from orders
    group by project_key, business_date, channel_key
),

customers_won as (
    select
        project_key,
        first_order_date as business_date,
        acquisition_channel_key as channel_key,
        count(*) as new_customer_count
    from customers
    where first_order_date is not null and not is_guest and is_deleted is not true
    group by project_key, first_order_date, acquisition_channel_key
),

lines_refunded as (
    select
        refund_lines.project_key,
        refund_lines.refund_date as business_date,
        lines.channel_key,
        sum(case when lines.is_tip then 0 else refund_lines.returned_quantity end) as returned_quantity,
        sum(case when lines.is_gift_card or lines.is_tip then 0 else refund_lines.returned_amount end) as returned_amount,
        sum(case when lines.is_gift_card then refund_lines.returned_amount else 0 end) as gift_card_amount,
        sum(case when lines.is_tip then refund_lines.returned_amount else 0 end) as tip_amount,
        sum(refund_lines.returned_tax_amount) as tax_amount
    from dated_refund_lines as refund_lines
    inner join lines
        on lines.project_key = refund_lines.project_key
        and lines.order_line_id = refund_lines.order_line_id
    group by refund_lines.project_key, refund_lines.refund_date, lines.channel_key
),

-- The source does not date an edit: its units go back on the day of the order, those of a cancellation on its own.
units_removed as (
    select
        lines.project_key,
        coalesce(orders.cancelled_date, orders.business_date) as business_date,
        lines.channel_key,
        sum(case when lines.is_tip then 0 else lines.removed_quantity end) as returned_quantity,
        sum(case when lines.is_gift_card or lines.is_tip then 0 else lines.removed_amount end) as returned_amount,
        sum(case when lines.is_gift_card then lines.removed_amount else 0 end) as gift_card_amount,
        sum(case when lines.is_tip then lines.removed_amount else 0 end) as tip_amount,
        sum(lines.removed_tax_amount) as tax_amount
    from lines
    inner join orders
        on orders.project_key = lines.project_key
        and orders.order_id = lines.order_id
    where lines.removed_quantity > 0
    group by lines.project_key, coalesce(orders.cancelled_date, orders.business_date), lines.channel_key
),

shipping_refunded as (
    select
        project_key,
        refund_date as business_date,
        channel_key,
        sum(returned_shipping_amount) as shipping_amount,
        sum(returned_shipping_tax_amount) as tax_amount,
        sum(returned_duty_amount) as duty_amount,
        sum(refund_discrepancy_amount) as refund_discrepancy_amount,
        sum(refund_rounding_amount) as refund_rounding_amount,
        sum(refunded_amount) as refunded_amount
    from {{ counted(ref('int_refund__split')) }} as refunds
    group by project_key, refund_date, channel_key
),

charges_voided as (
    select
        project_key,
        cancelled_date as business_date,
        channel_key,
        sum(voided_shipping_amount) as shipping_amount,
        coalesce(sum(voided_shipping_tax_amount), 0) as tax_amount,
        coalesce(sum(voided_duty_amount), 0) as duty_amount
    from orders
    where is_voided
    group by project_key, cancelled_date, channel_key
),

movements as (
    select
        project_key, business_date, channel_key, order_count, cancelled_order_count, ordered_quantity,
        0 as returned_quantity, gross_amount, discount_amount, 0 as returned_amount, gift_card_amount, tax_amount,
        shipping_amount, tip_amount, duty_amount, cash_rounding_amount, 0 as refunded_amount,
        0 as refund_discrepancy_amount, 0 as refund_rounding_amount, 0 as new_customer_count
    from orders_placed
    union all
    select
        project_key, business_date, channel_key, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, new_customer_count
    from customers_won
    union all
    select
        project_key, business_date, channel_key, 0, 0, 0,
        returned_quantity, 0, 0, returned_amount, -gift_card_amount, -tax_amount, 0, -tip_amount, 0, 0, 0, 0, 0, 0
    from lines_refunded
    union all
    select
        project_key, business_date, channel_key, 0, 0, 0,
        returned_quantity, 0, 0, returned_amount, -gift_card_amount, -tax_amount, 0, -tip_amount, 0, 0, 0, 0, 0, 0
    from units_removed
    union all
    select
        project_key, business_date, channel_key, 0, 0, 0,
        0, 0, 0, 0, 0, -tax_amount, -shipping_amount, 0, -duty_amount, 0, refunded_amount, refund_discrepancy_amount,
        refund_rounding_amount, 0
    from shipping_refunded
    union all
    select
        project_key, business_date, channel_key, 0, 0, 0,
        0, 0, 0, 0, 0, -tax_amount, -shipping_amount, 0, -duty_amount, 0, 0, 0, 0, 0
    from charges_voided
),

summed as (
    select
        project_key,
        business_date,
        channel_key,
        sum(order_count)::bigint as order_count,
        sum(cancelled_order_count)::bigint as cancelled_order_count,
        sum(new_customer_count)::bigint as new_customer_count,
        sum(ordered_quantity)::bigint as ordered_quantity,
        sum(returned_quantity)::bigint as returned_quantity,
        sum(gross_amount)::numeric(18, 4) as gross_amount,
        sum(discount_amount)::numeric(18, 4) as discount_amount,
        sum(returned_amount)::numeric(18, 4) as returned_amount,
        sum(gross_amount - discount_amount - returned_amount)::numeric(18, 4) as net_amount,
        sum(tax_amount)::numeric(18, 4) as tax_amount,
        sum(shipping_amount)::numeric(18, 4) as shipping_amount,
        sum(tip_amount)::numeric(18, 4) as tip_amount,
        sum(duty_amount)::numeric(18, 4) as duty_amount,
        sum(cash_rounding_amount)::numeric(18, 4) as cash_rounding_amount,
        sum(gift_card_amount)::numeric(18, 4) as gift_card_amount,
        sum(refunded_amount)::numeric(18, 4) as refunded_amount,
        sum(refund_discrepancy_amount)::numeric(18, 4) as refund_discrepancy_amount,
        sum(refund_rounding_amount)::numeric(18, 4) as refund_rounding_amount
    from movements
    group by project_key, business_date, channel_key
),

final as (
    select
        summed.project_key,
        summed.business_date,
        {{ date_key('summed.business_date') }} as date_key,
        summed.channel_key,
        projects.currency_code,
        summed.order_count,
        summed.cancelled_order_count,
        summed.new_customer_count,
        summed.ordered_quantity,
        summed.returned_quantity,
        summed.gross_amount,
        summed.discount_amount,
        summed.returned_amount,
        summed.net_amount,
        summed.tax_amount,
        summed.shipping_amount,
        summed.tip_amount,
        summed.duty_amount,
        summed.cash_rounding_amount,
        (
            summed.net_amount + summed.tax_amount + summed.shipping_amount + summed.tip_amount + summed.duty_amount
        )::numeric(18, 4) as total_amount,
        summed.gift_card_amount,
        summed.refunded_amount,
        summed.refund_discrepancy_amount,
        summed.refund_rounding_amount,
        {{ completeness('days') }}
    from summed
    inner join projects on projects.project_key = summed.project_key
    left join days
        on days.project_key = summed.project_key
        and days.business_date = summed.business_date
){% if incremental_run() %},

differing as (
    (
        select {{ contract_columns() }} from final
        except
        select {{ contract_columns() }} from {{ this }}
    )
    union all
    (
        select {{ contract_columns() }} from {{ this }}
        except
        select {{ contract_columns() }} from final
    )
),

-- A day is replaced as a whole when any of its rows is new, different or gone.
changed_days as (
    select distinct project_key, business_date
    from differing
){% endif %}

select
    final.*,
    '{{ invocation_id }}'::text as _dbt_run_id
from final
{% if incremental_run() %}
inner join changed_days
    on changed_days.project_key = final.project_key
    and changed_days.business_date = final.business_date
{% endif %}
order by final.project_key, final.business_date
