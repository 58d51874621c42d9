{#
    dbt's unit tests cast fixture columns to the type that information_schema names, which for any array is only
    'ARRAY'. Every array of this project is text[].
#}
{% macro postgres__safe_cast(field, type) -%}
    cast({{ field }} as {{ 'text[]' if type | upper == 'ARRAY' else type }})
{%- endmacro %}
