with source as (
    select * from {{ source('raw_ga4', 'traffic_daily') }}
),

projects as (
    select project_key, iana_timezone from {{ ref('stg_ops__projects') }}
),

renamed as (
    select
        project_key,
        property_date,
        channel_group,
        lower(source) as source,
        lower(medium) as medium,
        campaign as campaign_name,
        {{ campaign_name('campaign') }} as campaign,
        sessions,
        engaged_sessions,
        total_users,
        new_users,
        purchases,
        revenue_amount,
        currency_code,
        time_zone,
        coalesce(is_thresholded, false) as is_thresholded,
        coalesce(has_other_row, false) as has_other_row,
        _window,
        _loaded_at,
        _deleted_at is not null as is_deleted
    from source
),

final as (
    select
        renamed.*,
        (renamed.time_zone is distinct from projects.iana_timezone) as tz_mismatch
    from renamed
    left join projects on projects.project_key = renamed.project_key
)

select * from final
