{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'channel_key'],
        indexes=[{'columns': ['project_key', 'channel_key'], 'unique': true}],
    )
}}

with from_traffic as (
    select project_key, channel_group, source, medium, campaign
    from {{ ref('stg_ga4__traffic_daily') }}
),

-- Landing pages are reported by group only: their member stands for all sources of the group.
from_landing_pages as (
    select project_key, channel_group, '(all)' as source, '(all)' as medium, '(all)' as campaign
    from {{ ref('stg_ga4__landing_daily') }}
),

from_orders as (
    select
        project_key,
        channel_group,
        coalesce(utm_source, '(not set)') as source,
        coalesce(utm_medium, '(not set)') as medium,
        utm_campaign as campaign
    from {{ ref('int_order__valid') }}
    where utm_source is not null or utm_medium is not null
),

observed as (
    select * from from_traffic
    union
    select * from from_landing_pages
    union
    select * from from_orders
),

members as (
    select
        project_key,
        {{ channel_key('project_key', 'channel_group', 'source', 'medium', 'campaign') }} as channel_key,
        channel_group,
        source,
        medium,
        campaign
    from observed
    union all
    select project_key, {{ unknown_key() }}, '(not set)', '(not set)', '(not set)', '(not set)'
    from {{ ref('stg_ops__projects') }}
),

final as (
    select
        project_key,
        channel_key,
        channel_group,
        source,
        medium,
        campaign,
        channel_group = 'Direct' as is_direct,
        channel_group in ('Paid Search', 'Paid Social', 'Paid Video', 'Paid Shopping', 'Paid Other', 'Display', 'Cross-network') as is_paid,
        source = '(all)' as is_group_level,
        channel_key = {{ unknown_key() }} as is_unknown
    from members
)

{{ only_changed('final') }}
