{# A model's schema is the one it configures, without the target's schema before it: asset keys equal schema + table. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
