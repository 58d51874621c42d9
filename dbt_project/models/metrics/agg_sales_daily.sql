{{
    config(
        incremental_strategy='delete+insert',
        unique_key=['project_key', 'business_date'],
        pre_hook="{{ delete_vanished_days('business_date', [(counted(ref('fct_sale')), 'business_date'), (counted(ref('fct_order')), 'business_date'), (counted_refunds(), 'refund_date')]) }}",
        indexes=[{'columns': ['project_key', 'business_date', 'channel_key'], 'unique': true}],
    )
}}

with projects as (
    select * from {{ ref('dim_project') }}
),

orders as (
    select * from {{ counted(ref('fct_order')) }} as orders
),

sales as (
    select * from {{ counted(ref('fct_sale')) }} as sales
),

refunds as (
    select * from {{ counted_refunds() }} as refunds
),

customers as (
    select * from {{ ref('dim_customer') }}
),

days as (
    {{ days_of('shopify', 'orders') }}
),

-- Every movement with its own day: sales on the day of the order, edits and returns on theirs.
sales_moved as (
    select
        project_key,
        business_date,
        channel_key,
        sum(quantity) as ordered_quantity,
        sum(returned_quantity) as returned_quantity,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(tax_amount) as tax_amount,
        sum(shipping_amount) as shipping_amount,
        sum(tip_amount) as tip_amount,
        sum(duty_amount) as duty_amount,
        sum(fee_amount) as fee_amount,
        sum(case when action_type = 'return' then 0 else rounding_amount end) as cash_rounding_amount,
        -sum(case when action_type = 'return' then rounding_amount else 0 end) as refund_rounding_amount,
        sum(total_amount) as total_amount,
        sum(gift_card_amount) as gift_card_amount,
        sum(refund_discrepancy_amount) as refund_discrepancy_amount
    from sales
    group by project_key, business_date, channel_key
),

orders_placed as (
    select
        project_key,
        business_date,
        channel_key,
        count(*) as order_count,
        count(*) filter (where is_cancelled) as cancelled_order_count,
        count(*) filter (where unreconciled_reason is not null) as unreconciled_order_count
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

refunds_paid as (
    select
        project_key,
        refund_date as business_date,
        channel_key,
        sum(refunded_amount) as refunded_amount
    from refunds
    group by project_key, refund_date, channel_key
),

joined as (
    select * -- noqa: RF02, no measure stands in two of them
    from sales_moved
    full join orders_placed using (project_key, business_date, channel_key)
    full join customers_won using (project_key, business_date, channel_key)
    full join refunds_paid using (project_key, business_date, channel_key)
),

summed as (
    select
        project_key,
        business_date,
        channel_key,
        coalesce(order_count, 0)::bigint as order_count,
        coalesce(cancelled_order_count, 0)::bigint as cancelled_order_count,
        coalesce(unreconciled_order_count, 0)::bigint as unreconciled_order_count,
        coalesce(new_customer_count, 0)::bigint as new_customer_count,
        coalesce(ordered_quantity, 0)::bigint as ordered_quantity,
        coalesce(returned_quantity, 0)::bigint as returned_quantity,
        coalesce(gross_amount, 0)::numeric(18, 4) as gross_amount,
        coalesce(discount_amount, 0)::numeric(18, 4) as discount_amount,
        coalesce(returned_amount, 0)::numeric(18, 4) as returned_amount,
        coalesce(net_amount, 0)::numeric(18, 4) as net_amount,
        coalesce(tax_amount, 0)::numeric(18, 4) as tax_amount,
        coalesce(shipping_amount, 0)::numeric(18, 4) as shipping_amount,
        coalesce(tip_amount, 0)::numeric(18, 4) as tip_amount,
        coalesce(duty_amount, 0)::numeric(18, 4) as duty_amount,
        coalesce(fee_amount, 0)::numeric(18, 4) as fee_amount,
        coalesce(cash_rounding_amount, 0)::numeric(18, 4) as cash_rounding_amount,
        coalesce(refund_rounding_amount, 0)::numeric(18, 4) as refund_rounding_amount,
        coalesce(total_amount, 0)::numeric(18, 4) as total_amount,
        coalesce(gift_card_amount, 0)::numeric(18, 4) as gift_card_amount,
        coalesce(refund_discrepancy_amount, 0)::numeric(18, 4) as refund_discrepancy_amount,
        coalesce(refunded_amount, 0)::numeric(18, 4) as refunded_amount
    from joined
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
        summed.unreconciled_order_count,
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
        summed.fee_amount,
        summed.cash_rounding_amount,
        summed.refund_rounding_amount,
        summed.total_amount,
        summed.gift_card_amount,
        summed.refunded_amount,
        summed.refund_discrepancy_amount,
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
