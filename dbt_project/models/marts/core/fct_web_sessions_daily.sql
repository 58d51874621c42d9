{{
    config(
        incremental_strategy='delete+insert',
        unique_key=['project_key', 'property_date'],
        pre_hook="{{ delete_vanished_days('property_date', [(ref('stg_ga4__landing_daily'), 'property_date')]) }}",
        indexes=[
            {'columns': ['project_key', 'property_date', 'landing_page', 'channel_key', 'device'], 'unique': true},
            {'columns': ['_loaded_at']},
        ],
        meta={
            'owner': 'team:marketing',
            'dagster': {'group': 'marts', 'owners': ['team:marketing']},
            'grain': 'project_key, property_date, landing_page, channel_key, device',
        },
    )
}}

with days as (
    {{ days_of('ga4', 'landing_daily') }}
),

landing as (
    select
        listed.*,
        {{ completeness('days') }}
    from {{ ref('stg_ga4__landing_daily') }} as listed
    left join days
        on days.project_key = listed.project_key
        and days.business_date = listed.property_date
),

{% if incremental_run() %}
-- A restatement that only takes rows away moves no _loaded_at, but leaves a day with another number of rows; a day that
-- settles without one has the same rows, but is whole now.
restated as (
    select landing.project_key, landing.property_date
    from (
        select project_key, property_date, count(*) as row_count, max(_loaded_at) as _loaded_at, max(as_of) as as_of, bool_and(is_complete) as is_complete
        from landing
        group by project_key, property_date
    ) as landing
    left join (
        select project_key, property_date, count(*) as row_count, max(_loaded_at) as _loaded_at, max(as_of) as as_of, bool_and(is_complete) as is_complete
        from {{ this }}
        group by project_key, property_date
    ) as built
        on built.project_key = landing.project_key
        and built.property_date = landing.property_date
    where (built.row_count, built._loaded_at, built.as_of, built.is_complete)
        is distinct from (landing.row_count, landing._loaded_at, landing.as_of, landing.is_complete)
),
{% endif %}

final as (
    select
        landing.project_key,
        {{ date_key('landing.property_date') }} as date_key,
        landing.property_date,
        landing.landing_page,
        {{ channel_key('landing.project_key', 'landing.channel_group', "'(all)'", "'(all)'", "'(all)'") }} as channel_key,
        landing.device,
        landing.sessions as session_count,
        landing.engaged_sessions as engaged_session_count,
        landing.total_users as user_count,
        landing.page_views as page_view_count,
        landing.key_events as key_event_count,
        landing.purchases as purchase_count,
        landing.revenue_amount,
        landing.currency_code,
        landing.is_thresholded,
        landing.has_other_row,
        landing.tz_mismatch,
        landing.is_complete,
        landing.as_of,
        landing.incomplete_reason,
        landing._loaded_at,
        '{{ invocation_id }}'::text as _dbt_run_id
    from landing
    {% if incremental_run() %}
    inner join restated
        on restated.project_key = landing.project_key
        and restated.property_date = landing.property_date
    {% endif %}
)

select *
from final
order by project_key, property_date, landing_page
