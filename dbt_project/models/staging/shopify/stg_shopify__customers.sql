with source as (
    select * from {{ source('raw_shopify', 'customers') }}
),

projects as (
    select project_key, iana_timezone from {{ ref('stg_ops__projects') }}
),

renamed as (
    select
        project_key,
        customer_id,
        created_at,
        updated_at,
        {{ personal_hash("concat_ws(' ', first_name, last_name)") }} as name_hash,
        {{ personal_hash('email') }} as email_hash,
        lower(email_marketing_state) as email_marketing_state,
        lower(state) as state,
        tags,
        order_count,
        spent_amount,
        currency_code,
        city,
        province_code,
        country_code,
        _window,
        _loaded_at,
        _deleted_at is not null as is_deleted
    from source
),

final as (
    select
        renamed.*,
        {{ business_date('renamed.created_at') }} as created_date
    from renamed
    left join projects on projects.project_key = renamed.project_key
)

select * from final
