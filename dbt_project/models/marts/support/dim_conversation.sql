{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'conversation_key'],
        indexes=[
            {'columns': ['project_key', 'conversation_key'], 'unique': true},
            {'columns': ['project_key', 'conversation_id']},
        ],
    )
}}

with conversations as (
    select * from {{ ref('stg_chatwoot__conversations') }}
),

inboxes as (
    select * from {{ ref('stg_chatwoot__inboxes') }}
),

contacts as (
    select * from {{ ref('stg_chatwoot__contacts') }}
),

known as (
    select
        conversations.project_key,
        {{ surrogate_key(['conversations.project_key', 'conversations.conversation_id']) }} as conversation_key,
        conversations.conversation_id::text as conversation_id,
        conversations.inbox_id,
        inboxes.name as inbox_name,
        conversations.channel,
        conversations.contact_id,
        {{ person_key('contacts.project_key', 'contacts.email_hash') }} as person_key,
        conversations.status,
        conversations.priority,
        conversations.labels,
        conversations.labels[1] as first_topic,
        conversations.is_deleted
    from conversations
    left join inboxes
        on inboxes.project_key = conversations.project_key
        and inboxes.inbox_id = conversations.inbox_id
    left join contacts
        on contacts.project_key = conversations.project_key
        and contacts.contact_id = conversations.contact_id
),

-- The agent may speak of conversations that have not been loaded yet, or that Chatwoot never had.
spoken_of as (
    select project_key, conversation_key, conversation_id from {{ ref('fct_agent_query') }}
    union
    select project_key, conversation_key, conversation_id from {{ ref('fct_approval') }}
    union
    select project_key, conversation_key, conversation_id from {{ ref('fct_training') }}
),

members as (
    select
        project_key,
        conversation_key,
        coalesce(known.conversation_id, spoken_of.conversation_id) as conversation_id,
        known.inbox_id,
        known.inbox_name,
        known.channel,
        known.contact_id,
        known.person_key,
        known.status,
        known.priority,
        known.labels,
        known.first_topic,
        known.conversation_id is null as is_inferred,
        false as is_unknown,
        coalesce(known.is_deleted, false) as is_deleted
    from known
    full join spoken_of using (project_key, conversation_key)
    union all
    select
        project_key,
        {{ unknown_key() }},
        null, null, null, null, null, null, null, null, null, null,
        false, true, false
    from {{ ref('stg_ops__projects') }}
),

final as (
    select *
    from members
)

{{ only_changed('final') }}
