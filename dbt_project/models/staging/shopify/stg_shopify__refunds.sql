with source as (
    select * from {{ source('raw_shopify', 'refunds') }}
),

projects as (
    select project_key, iana_timezone from {{ ref('stg_ops__projects') }}
),

renamed as (
    select
        project_key,
        order_id,
        refund_id,
        created_at,
        updated_at,
        refunded_amount,
        shipping_amount,
        shipping_tax_amount,
        coalesce(duty_amount, 0)::numeric(18, 4) as duty_amount,
        rounding_amount,
        currency_code,
        _window,
        _loaded_at,
        _deleted_at is not null as is_deleted
    from source
),

final as (
    select
        renamed.*,
        {{ business_date('coalesce(created_at, updated_at)') }} as refund_date
    from renamed
    left join projects on projects.project_key = renamed.project_key
)

select * from final
