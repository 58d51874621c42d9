{{ config(incremental_strategy='merge', unique_key=['project_key'], indexes=[{'columns': ['project_key'], 'unique': true}]) }}

with final as (
    select
        project_key,
        shop_domain,
        currency_code,
        iana_timezone,
        {{ var('week_start_weekday') }}::int as week_start_weekday,
        chatwoot_account_id,
        ga4_property_id,
        {{ var('sla_first_reply_minutes') }}::int as sla_first_reply_minutes,
        is_demo
    from {{ ref('stg_ops__projects') }}
)

{{ only_changed('final') }}
