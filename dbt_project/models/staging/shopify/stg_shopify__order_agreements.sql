with source as (
    select * from {{ source('raw_shopify', 'order_agreements') }}
),

projects as (
    select project_key, iana_timezone from {{ ref('stg_ops__projects') }}
),

renamed as (
    select
        project_key,
        order_id,
        agreement_id,
        happened_at,
        lower(reason) as reason,
        refund_id,
        _window,
        _loaded_at,
        _deleted_at is not null as is_deleted
    from source
),

final as (
    select
        renamed.*,
        {{ business_date('renamed.happened_at') }} as happened_date
    from renamed
    left join projects on projects.project_key = renamed.project_key
)

select * from final
