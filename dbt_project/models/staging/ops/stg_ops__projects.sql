with source as (
    select * from {{ source('ops', 'projects') }}
),

renamed as (
    select
        project_key,
        shop_domain,
        currency_code,
        iana_timezone,
        chatwoot_account_id::bigint as chatwoot_account_id,
        ga4_property_id::text as ga4_property_id,
        is_demo,
        updated_at
    from source
),

final as (
    select * from renamed
)

select * from final
