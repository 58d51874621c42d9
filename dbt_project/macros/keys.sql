{# The key of a row from its natural key, as uuid: 16 bytes, and the same value whenever it is computed. #}
{% macro surrogate_key(columns) -%}
    md5(
        {%- for column in columns %}
        coalesce({{ column }}::text, '_dbt_utils_surrogate_key_null_')
        {%- if not loop.last %} || '-' ||{% endif %}
        {%- endfor %}
    )::uuid
{%- endmacro %}


{# The key of the member that stands for "not known" in every dimension, once a project. #}
{% macro unknown_key() -%}
    '00000000-0000-0000-0000-000000000000'::uuid
{%- endmacro %}


{# Customers keep their account's key; guests are told apart by e-mail; a guest without one is the unknown member. #}
{% macro customer_key(project_key, customer_id, email_hash) -%}
    case
        when {{ customer_id }} is not null then {{ surrogate_key([project_key, customer_id]) }}
        when {{ email_hash }} is not null then {{ surrogate_key([project_key, "'guest'", email_hash]) }}
        else {{ unknown_key() }}
    end
{%- endmacro %}


{# One person across accounts, guest orders and support: whoever shares an e-mail address. #}
{% macro person_key(project_key, email_hash) -%}
    case when {{ email_hash }} is not null then {{ surrogate_key([project_key, "'person'", email_hash]) }} end
{%- endmacro %}


{% macro product_variant_key(project_key, variant_id) -%}
    case
        when {{ variant_id }} is null then {{ unknown_key() }}
        else {{ surrogate_key([project_key, variant_id]) }}
    end
{%- endmacro %}


{% macro channel_key(project_key, channel_group, source, medium, campaign) -%}
    {{ surrogate_key([project_key, channel_group, source, medium, campaign]) }}
{%- endmacro %}
