{{
    config(
        incremental_strategy='append',
        pre_hook="{% if incremental_run() %}truncate table {{ this }}{% endif %}",
        indexes=[{'columns': ['date_key'], 'unique': true}],
    )
}}

{% set fiscal_shift = '(' ~ (13 - var('fiscal_year_start_month') | int) % 12 ~ " || ' months')::interval" %}

with seen as (
    select min(business_date) as first_day, max(business_date) as last_day from {{ ref('stg_shopify__orders') }}
    union all
    select min(created_date), max(created_date) from {{ ref('stg_shopify__orders') }}
    union all
    select min(created_date), max(created_date) from {{ ref('stg_chatwoot__conversations') }}
    union all
    select min(property_date), max(property_date) from {{ ref('stg_ga4__landing_daily') }}
    {%- for fact in ['fct_agent_query', 'fct_approval', 'fct_training', 'fct_decision_event'] %}
    union all
    select min(business_date), max(business_date) from {{ ref(fact) }}
    {%- endfor %}
),

-- Whole years, one before the first event and two after the last. An empty warehouse gets the years around 2025.
bounds as (
    select
        date_trunc('year', coalesce(min(first_day), date '2025-01-01') - interval '1 year')::date as first_day,
        (date_trunc('year', coalesce(max(last_day), date '2025-01-01') + interval '3 years') - interval '1 day')::date as last_day
    from seen
),

days as (
    select generate_series(first_day, last_day, interval '1 day')::date as date_day
    from bounds
),

final as (
    select
        {{ date_key('date_day') }} as date_key,
        date_day,
        extract(year from date_day)::int as year_number,
        extract(quarter from date_day)::int as quarter_number,
        extract(month from date_day)::int as month_number,
        date_trunc('month', date_day)::date as month_start_date,
        extract(isoyear from date_day)::int as iso_year,
        extract(week from date_day)::int as iso_week,
        date_trunc('week', date_day)::date as iso_week_start_date,
        extract(day from date_day)::int as day_of_month,
        extract(doy from date_day)::int as day_of_year,
        extract(isodow from date_day)::int as iso_weekday,
        trim(to_char(date_day, 'Day')) as weekday_name,
        extract(isodow from date_day) in (6, 7) as is_weekend,
        extract(year from date_day + {{ fiscal_shift }})::int as fiscal_year,
        extract(quarter from date_day + {{ fiscal_shift }})::int as fiscal_quarter,
        {{ date_key("(date_day - 7)") }} as same_weekday_last_week_key,
        {{ date_key("(date_day - 364)") }} as same_weekday_last_year_key
    from days
)

select *
from final
order by date_key
