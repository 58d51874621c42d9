{# The day an instant belongs to in the store's zone. #}
{% macro business_date(instant, zone='projects.iana_timezone') -%}
    ({{ instant }} at time zone {{ zone }})::date
{%- endmacro %}


{# 20260131 for 2026-01-31; null stays null. #}
{% macro date_key(day) -%}
    to_char({{ day }}, 'YYYYMMDD')::int
{%- endmacro %}
