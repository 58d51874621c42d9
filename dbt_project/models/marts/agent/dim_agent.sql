{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'agent_key'],
        indexes=[{'columns': ['project_key', 'agent_key'], 'unique': true}],
    )
}}

-- From the fact, which outlives the rows of the source.
with ai_agents as (
    select distinct
        project_key,
        agent_key,
        agent_name
    from {{ ref('fct_agent_query') }}
),

people as (
    select * from {{ ref('stg_chatwoot__agents') }}
),

members as (
    select
        project_key,
        agent_key,
        'ai' as agent_type,
        agent_name,
        null::bigint as agent_id,
        null::text as email_hash,
        null::text as role,
        false as is_unknown,
        false as is_deleted
    from ai_agents
    union all
    select
        project_key,
        {{ agent_key('project_key', 'human', 'agent_id') }},
        'human',
        null,
        agent_id,
        email_hash,
        role,
        false,
        is_deleted
    from people
    union all
    select project_key, {{ unknown_key() }}, 'unknown', null, null, null, null, true, false
    from {{ ref('stg_ops__projects') }}
),

final as (
    select
        project_key,
        agent_key,
        agent_type,
        agent_name,
        agent_id,
        email_hash,
        role,
        is_unknown,
        is_deleted,
        '1900-01-01 00:00:00+00'::timestamptz as valid_from,
        '9999-12-31 00:00:00+00'::timestamptz as valid_to,
        true as is_current
    from members
)

{{ only_changed('final') }}
