with source as (
    select * from {{ source('raw_shopify', 'orders') }}
),

projects as (
    select project_key, iana_timezone from {{ ref('stg_ops__projects') }}
),

renamed as (
    select
        project_key,
        order_id,
        order_name,
        created_at,
        processed_at,
        updated_at,
        cancelled_at,
        lower(cancel_reason) as cancel_reason,
        closed_at,
        is_test,
        lower(financial_status) as financial_status,
        lower(fulfillment_status) as fulfillment_status,
        currency_code,
        presentment_currency_code,
        taxes_included,
        line_quantity,
        -- Shopify may leave these three out: then nothing was given off or taxed, and the rest of the total are the lines.
        coalesce(
            subtotal_amount,
            total_amount - shipping_amount - case when taxes_included then 0 else coalesce(tax_amount, 0) end
        )::numeric(18, 4) as subtotal_amount,
        coalesce(discount_amount, 0)::numeric(18, 4) as discount_amount,
        coalesce(tax_amount, 0)::numeric(18, 4) as tax_amount,
        shipping_amount,
        coalesce(tip_amount, 0)::numeric(18, 4) as tip_amount,
        coalesce(duty_amount, 0)::numeric(18, 4) as duty_amount,
        coalesce(fee_amount, 0)::numeric(18, 4) as fee_amount,
        coalesce(cash_rounding_amount, 0)::numeric(18, 4) as cash_rounding_amount,
        total_amount,
        refunded_amount,
        current_total_amount,
        current_shipping_amount,
        presentment_total_amount,
        customer_id,
        {{ personal_hash('email') }} as email_hash,
        customer_order_number::int as customer_order_number,
        source_name,
        tags,
        discount_codes,
        shipping_city,
        shipping_province_code,
        shipping_country_code,
        nullif(split_part(regexp_replace(landing_page, '^https?://[^/]+', ''), '?', 1), '') as landing_path,
        nullif(lower(utm_source), '') as utm_source,
        nullif(lower(utm_medium), '') as utm_medium,
        {{ campaign_name('utm_campaign') }} as utm_campaign,
        _window,
        _loaded_at,
        _deleted_at as deleted_at,
        _deleted_at is not null as is_deleted
    from source
),

final as (
    select
        renamed.*,
        {{ business_date('renamed.processed_at') }} as business_date,
        {{ business_date('renamed.created_at') }} as created_date,
        {{ business_date('renamed.cancelled_at') }} as cancelled_date,
        {{ channel_group('utm_source', 'utm_medium', 'utm_campaign') }} as channel_group
    from renamed
    left join projects on projects.project_key = renamed.project_key
)

select * from final
