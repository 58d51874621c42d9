{# The days of one stream, as the ledger of completeness knows them. #}
{% macro days_of(source, stream) -%}
    select
        project_key,
        business_date,
        is_complete,
        as_of,
        reason
    from {{ ref('stg_ops__stream_days') }}
    where source = '{{ source }}' and stream = '{{ stream }}'
{%- endmacro %}


{# What a daily row says of its day; `days` is the joined relation of days_of, null where the ledger has no such day. #}
{% macro completeness(days) -%}
    coalesce({{ days }}.is_complete, false) as is_complete,
        {{ days }}.as_of,
        case when {{ days }}.business_date is null then 'the day is not in the ledger' else {{ days }}.reason end as incomplete_reason
{%- endmacro %}
