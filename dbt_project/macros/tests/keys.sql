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
