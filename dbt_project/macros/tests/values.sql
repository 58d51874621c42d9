{% test expression_is_true(model, expression) %}
select *
from {{ model }}
where not coalesce({{ expression }}, false)
{% endtest %}


{# One row that counts the exceptions, where they are more than the share `tolerated` of all rows and `always_tolerated`. #}
{% test expression_is_true_of_most(model, expression, tolerated, always_tolerated=0) %}
select
    count(*) as row_count,
    count(*) filter (where not coalesce({{ expression }}, false)) as exception_count
from {{ model }}
having count(*) filter (where not coalesce({{ expression }}, false)) > greatest({{ tolerated }} * count(*), {{ always_tolerated }})
{% endtest %}


{# A column of whole numbers or dates (as numbers) without gaps. #}
{% test sequential_values(model, column_name, step) %}
select {{ column_name }}
from (
    select
        {{ column_name }},
        lag({{ column_name }}) over (order by {{ column_name }}) as before
    from {{ model }}
) as ordered
where before is not null and {{ column_name }} <> before + {{ step }}
{% endtest %}


{# The sum of each expression over this model equals that over another, or its rows `other_where`, project by project. #}
{% test equal_sums(model, other, expressions, other_where='true', tolerance=0) %}
with ours as (
    select
        project_key,
        {%- for mine, _ in expressions %}
        coalesce(sum({{ mine }}), 0) as sum_{{ loop.index }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ model }}
    group by project_key
),
theirs as (
    select
        project_key,
        {%- for _, other_expression in expressions %}
        coalesce(sum({{ other_expression }}), 0) as sum_{{ loop.index }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ other }}
    where {{ other_where }}
    group by project_key
)
select *
from ours
full join theirs using (project_key)
where false
    {%- for _ in expressions %}
    or abs(coalesce(ours.sum_{{ loop.index }}, 0) - coalesce(theirs.sum_{{ loop.index }}, 0)) > {{ tolerance }}
    {%- endfor %}
{% endtest %}


{% test known_time_zone(model, column_name) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} not in (select name from pg_timezone_names)
{% endtest %}
