{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'user_key'],
        indexes=[{'columns': ['project_key', 'user_key'], 'unique': true}],
    )
}}

-- From the facts, which outlive the rows of their sources; curated replies have no fact and are not purged.
with acts as (
    select project_key, operator_hash as login_hash, true as is_operator, false as is_annotator, false as is_approver
    from {{ ref('fct_approval') }}
    union
    select project_key, annotator_hash, false, true, false
    from {{ ref('fct_training') }}
    union
    select project_key, approver_hash, false, false, true
    from {{ ref('stg_agent__curated_replies') }}
),

people as (
    select
        project_key,
        login_hash,
        bool_or(is_operator) as is_operator,
        bool_or(is_annotator) as is_annotator,
        bool_or(is_approver) as is_approver
    from acts
    where login_hash is not null
    group by project_key, login_hash
),

members as (
    select
        people.*,
        false as is_unknown
    from people
    union all
    select project_key, null, false, false, false, true
    from {{ ref('stg_ops__projects') }}
),

final as (
    select
        project_key,
        {{ user_key('project_key', 'login_hash') }} as user_key,
        login_hash,
        is_operator,
        is_annotator,
        is_approver,
        is_unknown,
        '1900-01-01 00:00:00+00'::timestamptz as valid_from,
        '9999-12-31 00:00:00+00'::timestamptz as valid_to,
        true as is_current
    from members
)

{{ only_changed('final') }}
