{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'order_id'],
        pre_hook=["{{ allow_nested_loops_for_few_orders() }}", "{{ delete_test_orders() }}"],
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

built_lines as (
    select * from {{ ref('fct_order_line') }}
),

listed_lines as (
    select * from {{ ref('stg_shopify__order_lines') }}
),

split_refunds as (
    select * from {{ ref('int_refund__split') }}
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
        count(*) as line_count,
        sum(lines.quantity) filter (where lines.is_tip is not true) as quantity,
        sum(lines.returned_quantity) filter (where lines.is_tip is not true) as returned_quantity,
        sum(lines.removed_quantity) as removed_quantity,
        sum(lines.gross_amount) as gross_amount,
        sum(lines.discount_amount) as discount_amount,
        sum(lines.returned_amount) as returned_amount,
        sum(lines.net_amount) as net_amount,
        sum(lines.gift_card_amount) as gift_card_amount,
        sum(lines.returned_gift_card_amount) as returned_gift_card_amount,
        sum(lines.tip_amount) as line_tip_amount,
        sum(lines.returned_tip_amount) as returned_tip_amount,
        sum(lines.tax_amount) as line_tax_amount,
        sum(lines.returned_tax_amount) as returned_tax_amount,
        sum(lines.gross_amount - lines.discount_amount + lines.gift_card_amount) as sold_net_amount
    from built_lines as lines
    inner join touched
        on touched.project_key = lines.project_key
        and touched.order_id = lines.order_id
    group by lines.project_key, lines.order_id
),

listed as (
    select
        lines.project_key,
        lines.order_id,
        sum(lines.gross_amount) as gross_amount
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
        min(refunds.refund_date) as first_refund_date,
        sum(refunds.returned_shipping_amount) as shipping_amount,
        sum(refunds.returned_shipping_tax_amount) as shipping_tax_amount,
        sum(refunds.returned_duty_amount) as duty_amount,
        sum(refunds.refund_discrepancy_amount) as discrepancy_amount,
        sum(refunds.refund_rounding_amount) as rounding_amount
    from split_refunds as refunds
    inner join touched
        on touched.project_key = refunds.project_key
        and touched.order_id = refunds.order_id
    group by refunds.project_key, refunds.order_id
),

charged as (
    select
        orders.*,
        coalesce(lines.line_count, 0)::int as line_count,
        coalesce(lines.quantity, 0)::bigint as quantity,
        coalesce(lines.returned_quantity, 0)::bigint as returned_quantity,
        coalesce(lines.removed_quantity, 0)::bigint as removed_quantity,
        coalesce(lines.gross_amount, 0) as line_gross_amount,
        coalesce(lines.discount_amount, 0) as line_discount_amount,
        coalesce(lines.returned_amount, 0) as returned_amount,
        coalesce(lines.net_amount, 0) as net_amount,
        coalesce(lines.gift_card_amount, 0) as gift_card_amount,
        coalesce(lines.returned_gift_card_amount, 0) as returned_gift_card_amount,
        coalesce(lines.returned_tax_amount, 0) as line_returned_tax_amount,
        coalesce(lines.line_tip_amount, 0) as line_tip_amount,
        coalesce(lines.returned_tip_amount, 0) as returned_tip_amount,
        coalesce(refunds.refund_count, 0)::int as refund_count,
        refunds.first_refund_date,
        coalesce(refunds.shipping_amount, 0) as refunded_shipping_amount,
        coalesce(refunds.shipping_tax_amount, 0) as refunded_shipping_tax_amount,
        coalesce(refunds.duty_amount, 0) as refunded_duty_amount,
        orders.tax_amount - coalesce(lines.line_tax_amount, 0) as shipping_tax_amount,
        coalesce(refunds.discrepancy_amount, 0) as refund_discrepancy_amount,
        coalesce(refunds.rounding_amount, 0) as refunded_rounding_amount,
        -- The listed shipping is the price before discounts: what discounts exceed those of the lines was given on it.
        orders.shipping_amount
        - greatest(orders.discount_amount - (coalesce(listed.gross_amount, 0) - coalesce(lines.line_tip_amount, 0) - orders.subtotal_amount), 0)
        - case when orders.taxes_included then orders.tax_amount - coalesce(lines.line_tax_amount, 0) else 0 end as charged_shipping_amount,
        orders.cancelled_at is not null and orders.financial_status = 'voided' as is_voided
    from orders
    left join lines
        on lines.project_key = orders.project_key
        and lines.order_id = orders.order_id
    left join listed
        on listed.project_key = orders.project_key
        and listed.order_id = orders.order_id
    left join refunds
        on refunds.project_key = orders.project_key
        and refunds.order_id = orders.order_id
),

measured as (
    select
        charged.*,
        -- A voided order was never paid: shipping and duties that it no longer charges have no refund to tell of them.
        case when is_voided then charged_shipping_amount - refunded_shipping_amount else 0 end as voided_shipping_amount,
        case when is_voided then shipping_tax_amount - refunded_shipping_tax_amount else 0 end as voided_shipping_tax_amount,
        case when is_voided then duty_amount - refunded_duty_amount else 0 end as voided_duty_amount
    from charged
),

final as (
    select
        project_key,
        {{ surrogate_key(['project_key', 'order_id']) }} as order_key,
        order_id,
        order_name,
        {{ date_key('business_date') }} as date_key,
        business_date,
        {{ date_key('created_date') }} as created_date_key,
        {{ date_key('cancelled_date') }} as cancelled_date_key,
        cancelled_date,
        {{ date_key('first_refund_date') }} as first_refund_date_key,
        processed_at,
        created_at,
        updated_at,
        cancelled_at,
        closed_at,
        customer_key,
        customer_id,
        person_key,
        channel_key,
        source_name,
        landing_path,
        shipping_country_code,
        shipping_province_code,
        financial_status,
        fulfillment_status,
        cancel_reason,
        customer_order_number,
        customer_order_number = 1 as is_first_order,
        customer_id is null as is_guest,
        cancelled_at is not null as is_cancelled,
        is_voided,
        coalesce(financial_status in ('paid', 'partially_refunded', 'refunded'), false) as is_paid,
        removed_quantity > 0 and cancelled_at is null as is_edited,
        is_deleted,
        taxes_included as is_tax_included,
        currency_code,
        presentment_currency_code,
        line_count,
        quantity,
        returned_quantity,
        refund_count,
        line_gross_amount as gross_amount,
        line_discount_amount as discount_amount,
        returned_amount,
        net_amount,
        gift_card_amount,
        returned_gift_card_amount,
        tax_amount,
        line_returned_tax_amount + refunded_shipping_tax_amount + voided_shipping_tax_amount as returned_tax_amount,
        charged_shipping_amount as shipping_amount,
        refunded_shipping_amount + voided_shipping_amount as returned_shipping_amount,
        voided_shipping_amount,
        voided_shipping_tax_amount,
        tip_amount,
        returned_tip_amount,
        duty_amount,
        refunded_duty_amount + voided_duty_amount as returned_duty_amount,
        voided_duty_amount,
        cash_rounding_amount,
        total_amount,
        current_total_amount,
        refunded_amount,
        refund_discrepancy_amount,
        refunded_rounding_amount as refund_rounding_amount,
        presentment_total_amount,
        order_loaded_at as _loaded_at,
        '{{ invocation_id }}'::text as _dbt_run_id
    from measured
)

select *
from final
order by project_key, date_key, order_id
