{#
    Personal identifiers leave staging only as salted hashes. The salt is HOTDASH_EMAIL_SALT; it must stay the same for
    the life of the warehouse, since facts of different days join on the hash (changing it means `--full-refresh`).
    It ends up in compiled SQL and view definitions: it keeps hashes from being looked up in public tables, and is no
    password. Whoever may read raw_* can read the addresses anyway.
#}
{% macro personal_hash(column) -%}
    encode(sha256(convert_to('{{ env_var("HOTDASH_EMAIL_SALT", "hotdash") | replace("'", "''") }}' || nullif(lower(trim({{ column }})), ''), 'UTF8')), 'hex')
{%- endmacro %}
