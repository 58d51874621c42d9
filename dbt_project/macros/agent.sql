{#
    The store whose agent writes into schema `agent`: its tables name no store, since one database serves one agent.
    The nightly run says which store this is; a dbt run by hand without HOTDASH_AGENT_PROJECT takes the only one there is.
#}
{% macro agent_store() -%}
    {%- set store = env_var('HOTDASH_AGENT_PROJECT', '') -%}
    select
        project_key,
        iana_timezone
    from {{ ref('stg_ops__projects') }}
    {%- if store %}
    where project_key = '{{ store | replace("'", "''") }}'
    {%- else %}
    where (select count(*) from {{ ref('stg_ops__projects') }}) = 1
    {%- endif %}
{%- endmacro %}


{# The two columns that a staging model of the agent adds: its store ('unknown' without one, which a test refuses), and a day. #}
{% macro agent_project_key() -%}
    coalesce((select store.project_key from store), 'unknown')
{%- endmacro %}


{% macro agent_date(instant) -%}
    ({{ instant }} at time zone (select store.iana_timezone from store))::date
{%- endmacro %}


{#
    Rows of a table of the agent that this fact may lack: those changed since its newest row less the overlap, and those
    numbered after its newest, which may be dated back. An instant in the future (a writer's clock) is no watermark.
    Of these the ones that the fact holds in just that state are left out, so that a rerun writes nothing.
#}
{% macro agent_rows(relation, id, changed) -%}
    {%- if execute and incremental_run() -%}
        {%- set held = run_query(
            "select coalesce(max(" ~ id ~ "), 0)::text, (coalesce((select max(_loaded_at) from " ~ this
            ~ " where _loaded_at <= now()), '-infinity') - interval '" ~ var("overlap") ~ "')::text from " ~ this
        ) -%}
    select listed.*
    from (select * from {{ relation }}) as listed
    where
        (listed.{{ id }} > {{ held.columns[0].values()[0] }} or listed.{{ changed }} >= '{{ held.columns[1].values()[0] }}'::timestamptz)
        and not exists (
            select 1
            from {{ this }} as built
            where built.project_key = listed.project_key
                and built.{{ id }} = listed.{{ id }}
                and built._loaded_at = listed.{{ changed }}
        )
    {%- else -%}
    select * from {{ relation }}
    {%- endif -%}
{%- endmacro %}


{# Who did it, from the salted hash of a login; nobody is the unknown member. #}
{% macro user_key(project_key, login_hash) -%}
    case
        when {{ login_hash }} is null then {{ unknown_key() }}
        else {{ surrogate_key([project_key, login_hash]) }}
    end
{%- endmacro %}


{% macro agent_key(project_key, agent_type, agent) -%}
    {{ surrogate_key([project_key, "'" ~ agent_type ~ "'", agent]) }}
{%- endmacro %}


{# A mark of the rubric; null when none was given, or one that is no number from 0 to 5. #}
{% macro rubric_mark(name) -%}
    case when {{ is_rubric_mark(name) }} then (rubric ->> '{{ name }}')::numeric(6, 3) end
{%- endmacro %}


{% macro is_rubric_mark(name) -%}
    case when jsonb_typeof(rubric -> '{{ name }}') = 'number' then (rubric ->> '{{ name }}')::numeric between 0 and 5 else false end
{%- endmacro %}


{# How many of the marks were given but are no number from 0 to 5. #}
{% macro bad_rubric_marks(names) -%}
    {%- for name in names -%}
    (coalesce(jsonb_typeof(rubric -> '{{ name }}'), 'null') <> 'null' and not {{ is_rubric_mark(name) }})::int
    {%- if not loop.last %} + {% endif -%}
    {%- endfor -%}
{%- endmacro %}
