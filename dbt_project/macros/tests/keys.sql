{% test unique_combination(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}


{# Every row finds its member in the dimension of its own tenant. A null foreign key is a failure too. #}
{% test relationships_tenant(model, column_name, to, field, nullable=false) %}
select facts.project_key, facts.{{ column_name }}
from {{ model }} as facts
left join {{ to }} as members
    on members.project_key = facts.project_key
    and members.{{ field or column_name }} = facts.{{ column_name }}
where members.project_key is null
{%- if nullable %} and facts.{{ column_name }} is not null{% endif %}
{% endtest %}


{# Each project has the member with the zero key, once. #}
{% test has_unknown_member(model, column_name) %}
select projects.project_key
from {{ ref('dim_project') }} as projects
left join {{ model }} as members
    on members.project_key = projects.project_key
    and members.{{ column_name }} = {{ unknown_key() }}
group by projects.project_key
having count(members.project_key) <> 1
{% endtest %}


{# One version of a member is the current one, no more and no less. #}
{% test one_current_row(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) filter (where is_current) <> 1
{% endtest %}


{#
    Several foreign keys in one query: each of `keys` is {column, to, field, is_shared}; `field` defaults to the column.
    Members belong to the row's own store, but for dimensions that all stores share (the calendar). Null is a failure.
#}
{% test foreign_keys_exist(model, keys) %}
select facts.project_key
from {{ model }} as facts
{%- for key in keys %}
left join {{ key.to }} as members_{{ loop.index }}
    on members_{{ loop.index }}.{{ key.field or key.column }} = facts.{{ key.column }}
    {%- if not key.is_shared %}
    and members_{{ loop.index }}.project_key = facts.project_key
    {%- endif %}
{%- endfor %}
where
    {%- for key in keys %}
    {% if not loop.first %}or {% endif %}members_{{ loop.index }}.{{ key.field or key.column }} is null
    {%- endfor %}
{% endtest %}


{#
    Every row of `of` up to the model's newest number is in it, and a model is not empty over a relation with rows. The
    source is written while the models are built: rows of the last hour, and numbers above the newest, may be missing.
#}
{% test no_row_is_missing(model, of, id, changed) %}
select listed.project_key, listed.{{ id }}
from {{ of }} as listed
cross join (select max({{ id }}) as id from {{ model }}) as newest
left join {{ model }} as built
    on built.project_key = listed.project_key
    and built.{{ id }} = listed.{{ id }}
where
    built.{{ id }} is null
    and listed.{{ changed }} < now() - interval '1 hour'
    and (listed.{{ id }} <= newest.id or newest.id is null)
{% endtest %}


{#
    Row-level security hides no table of a schema from who builds the models: it would leave them empty without a word.
    A member of the trusted role reads under that role's policies, which let it see every row.
#}
{% test row_security_hides_nothing(model, schema_name, trusted_role) %}
select tables.relname
from pg_class as tables
where tables.relnamespace = '{{ schema_name }}'::regnamespace
    and tables.relkind in ('r', 'p')
    and row_security_active(tables.oid)
    and not exists (
        select 1 from pg_roles
        where rolname = '{{ trusted_role }}' and pg_has_role(current_user, oid, 'usage')
    )
{% endtest %}
