{#
    A full rebuild of a mart is truncate + append in one transaction, never a swap: `--full-refresh` makes
    incremental_run() false, and the pre-hook empties the table (models set full_refresh: false so that dbt keeps it).
    A model with `outlives_its_source: true` in its meta is not emptied: the rows of its source are purged, so what is
    left of it is merged over what the table holds.
#}
{% macro incremental_run() %}
    {{ return(is_incremental() and not flags.FULL_REFRESH and not lacks_columns()) }}
{% endmacro %}


{% macro truncate_on_rebuild() %}
    {%- if execute and (flags.FULL_REFRESH or lacks_columns()) and not model.config.meta.get('outlives_its_source') and load_cached_relation(this) is not none -%}
        truncate table {{ this }}
    {%- endif -%}
{% endmacro %}


{# Name -> whether it must have a value, of each column that the table has by now; none before it is first made. #}
{% macro held_columns() %}
    {%- set held, built = {}, load_cached_relation(this) if execute else none -%}
    {%- if built is not none and built.is_table -%}
        {%- for row in run_query(
            "select attname::text, attnotnull from pg_attribute where attrelid = '" ~ this ~ "'::regclass and attnum > 0 and not attisdropped"
        ) -%}
            {%- do held.update({row[0]: row[1]}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(held) }}
{% endmacro %}


{#
    Whether an earlier version of the model made the table: its rows have no values for the columns that have come
    since, so they are all made anew, once, where their source still has them.
#}
{% macro lacks_columns() %}
    {%- set held = held_columns() -%}
    {{ return(held | length > 0 and model.columns.keys() | reject('in', held) | list | length > 0) }}
{% endmacro %}


{# Columns that the model no longer has stay for whoever reads them, and may be empty from now on. #}
{% macro release_former_columns() %}
    {%- for name, is_required in held_columns().items() if is_required and name not in model.columns -%}
        alter table {{ this }} alter column "{{ name }}" drop not null;
    {% endfor -%}
{% endmacro %}


{#
    The instant from which on rows may be new to this model: the newest row it holds, less the overlap. A literal, not
    a subquery, so that the planner knows from its statistics how few rows that is.
#}
{% macro loaded_since(overlap=none) -%}
    {%- if execute -%}
        {%- set newest = run_query(
            "select (coalesce(max(_loaded_at), '-infinity') - interval '" ~ (overlap or var("overlap")) ~ "')::text from " ~ this
        ) -%}
        '{{ newest.columns[0].values()[0] }}'::timestamptz
    {%- else -%}
        '-infinity'::timestamptz
    {%- endif -%}
{%- endmacro %}


{% macro incremental_window(column='_loaded_at', overlap=none) -%}
    {{ column }} >= {{ loaded_since(overlap) }}
{%- endmacro %}


{#
    Nested loops are off for the marts (dbt_project.yml). For a few orders they are the better plan, an index look-up
    each, so increments of the order facts may use them up to a size at which a wrong guess costs nothing.
#}
{% macro is_small_increment(limit=2500) %}
    {%- if not execute or not incremental_run() -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set loaded = run_query(
        "select count(*) from (select 1 from " ~ ref('stg_shopify__orders') ~ " where " ~ incremental_window() ~ " limit " ~ (limit + 1) ~ ") as loaded"
    ) -%}
    {{ return(loaded.columns[0].values()[0] | int <= limit) }}
{% endmacro %}


{% macro allow_nested_loops_for_few_orders() %}
    {%- if is_small_increment() -%}
        set local enable_nestloop = on
    {%- endif -%}
{% endmacro %}


{# Whether nothing is known of the table's rows since it was made or emptied. #}
{% macro is_emptied() %}
    {%- set known = run_query("select reltuples < 0 from pg_class where oid = '" ~ this ~ "'::regclass") -%}
    {{ return(known.columns[0].values()[0]) }}
{% endmacro %}


{# What reads the table next in the same build plans by its statistics; autovacuum would come too late. #}
{% macro analyze_after_big_load() %}
    {%- if execute and (is_emptied() or not is_small_increment()) -%}
        analyze {{ this }}
    {%- endif -%}
{% endmacro %}


{# The columns of the model's contract, in its order, without the id of the run that wrote the row. #}
{% macro contract_columns() -%}
    {{ model.columns.keys() | reject('equalto', '_dbt_run_id') | join(', ') }}
{%- endmacro %}


{#
    The last step of a model that computes all of its rows: only those that differ from the table go on to the merge,
    so that a rerun writes nothing. Columns and their order are the contract's.
#}
{% macro only_changed(cte) -%}
    {%- set columns = contract_columns() -%}
    select
        {{ columns }},
        '{{ invocation_id }}'::text as _dbt_run_id
    from (
        select {{ columns }} from {{ cte }}
        {%- if incremental_run() %}
        except
        select {{ columns }} from {{ this }}
        {%- endif %}
    ) as changed
{%- endmacro %}


{#
    Orders of which any part was loaded since the fact was last built, with the instant of the newest part.
    Orders that the fact already holds in just that state are left out: the overlap then costs reads, not writes.
#}
{% macro touched_orders() -%}
    {%- set parts = ['orders', 'order_lines', 'refunds', 'refund_lines', 'refund_adjustments', 'order_agreements', 'order_sales'] -%}
    {%- set since = loaded_since() if incremental_run() else none -%}
    select
        loaded.project_key,
        loaded.order_id,
        loaded._loaded_at
    from (
        select
            parts.project_key,
            parts.order_id,
            max(parts._loaded_at) as _loaded_at
        from (
            {%- for part in parts %}
            select project_key, order_id, _loaded_at from {{ ref('stg_shopify__' ~ part) }}
            {%- if since %} where _loaded_at >= {{ since }}{% endif %}
            {%- if not loop.last %}
            union all
            {%- endif %}
            {%- endfor %}
        ) as parts
        group by parts.project_key, parts.order_id
    ) as loaded
    {%- if since %}
    where not exists (
        select 1
        from {{ this }} as built
        where built.project_key = loaded.project_key
            and built.order_id = loaded.order_id
            and built._loaded_at = loaded._loaded_at
    )
    {%- endif %}
{%- endmacro %}


{#
    The version of an order in a fact that sums fct_sale: the one its sales were made of, so that what is loaded between the
    two models is taken up by the next build. Without sales the order is worth nothing, or is not in fct_sale yet: a
    version that no load has, so that the next build looks again.
#}
{% macro version_of_sales(sales_loaded_at, order_loaded_at) -%}
    coalesce({{ sales_loaded_at }}, {{ order_loaded_at }} - interval '1 microsecond')
{%- endmacro %}


{#
    Before an increment: what the fact holds of the orders that are taken anew, so that a line, a movement or an order
    that is no longer there (or became a test) leaves.
#}
{% macro delete_touched_orders() %}
    {%- if incremental_run() -%}
        delete from {{ this }} as built
        using ({{ touched_orders() }}) as touched
        where touched.project_key = built.project_key
            and touched.order_id = built.order_id
    {%- endif -%}
{% endmacro %}


{#
    What counts of an order fact: without orders that the shop deleted, which its own reports leave out too. The facts
    keep them, marked as is_deleted; every figure made of them reads through here.
#}
{% macro counted(relation) -%}
    (select * from {{ relation }} where is_deleted is not true)
{%- endmacro %}


{# The refunds of orders that count, with their order's channel. #}
{% macro counted_refunds() -%}
    (
        select refunds.project_key, refunds.refund_id, refunds.refund_date, refunds.refunded_amount, orders.channel_key
        from {{ ref('stg_shopify__refunds') }} as refunds
        inner join {{ ref('fct_order') }} as orders
            on orders.project_key = refunds.project_key
            and orders.order_id = refunds.order_id
        where orders.is_deleted is not true
    )
{%- endmacro %}


{# Before an increment: rows whose day (column `day`) is no longer in any of the relations, given as {relation: column}. #}
{% macro delete_vanished_days(day, relations) %}
    {%- if incremental_run() -%}
        delete from {{ this }} as built
        where
        {%- for relation, column in relations %}
            {%- if not loop.first %} and{% endif %} not exists (
                select 1
                from {{ relation }} as upstream
                where upstream.project_key = built.project_key
                    and upstream.{{ column }} = built.{{ day }}
            )
        {%- endfor %}
    {%- endif -%}
{% endmacro %}
