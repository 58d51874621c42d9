{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'conversation_id'],
        indexes=[
            {'columns': ['project_key', 'conversation_id'], 'unique': true},
            {'columns': ['project_key', 'date_key']},
            {'columns': ['_loaded_at']},
        ],
    )
}}

with conversations as (
    select * from {{ ref('stg_chatwoot__conversations') }}
),

messages as (
    select * from {{ ref('stg_chatwoot__messages') }}
),

contacts as (
    select * from {{ ref('stg_chatwoot__contacts') }}
),

inboxes as (
    select * from {{ ref('stg_chatwoot__inboxes') }}
),

projects as (
    select project_key, iana_timezone, sla_first_reply_minutes from {{ ref('dim_project') }}
),

-- Accounts by e-mail; should two share an address, the one that is there, then the older one is taken.
customers as (
    select distinct on (project_key, email_hash)
        project_key,
        email_hash,
        customer_id
    from {{ ref('stg_shopify__customers') }}
    where email_hash is not null
    order by project_key, email_hash, is_deleted, customer_id
),

talk as (
    select
        project_key,
        conversation_id,
        count(*) filter (where message_type <> 'activity' and not is_private) as message_count,
        count(*) filter (where message_type = 'incoming') as incoming_message_count,
        count(*) filter (where message_type = 'outgoing' and not is_private) as outgoing_message_count,
        count(*) filter (where is_from_agent and message_type = 'outgoing' and not is_private) as agent_message_count,
        count(*) filter (where is_from_bot and not is_private) as bot_message_count,
        count(*) filter (where is_private) as private_note_count,
        min(created_at) filter (where message_type = 'outgoing' and not is_private and is_from_agent) as first_reply_at,
        max(created_at) filter (where message_type = 'activity') as last_change_at,
        max(_loaded_at) as _loaded_at
    from messages
    group by project_key, conversation_id
),

joined as (
    select
        conversations.*,
        contacts.email_hash,
        customers.customer_id,
        inboxes.name as inbox_name,
        coalesce(conversations.first_reply_created_at, talk.first_reply_at) as first_reply_at,
        -- The status tells that it is resolved, the newest line of activity when: texts differ by language.
        case
            when conversations.status = 'resolved' then coalesce(talk.last_change_at, conversations.last_activity_at)
        end as resolved_at,
        conversations.created_at + projects.sla_first_reply_minutes * interval '1 minute' as sla_due_at,
        coalesce(talk.message_count, 0)::int as message_count,
        coalesce(talk.incoming_message_count, 0)::int as incoming_message_count,
        coalesce(talk.outgoing_message_count, 0)::int as outgoing_message_count,
        coalesce(talk.agent_message_count, 0)::int as agent_message_count,
        coalesce(talk.bot_message_count, 0)::int as bot_message_count,
        coalesce(talk.private_note_count, 0)::int as private_note_count,
        greatest(conversations._loaded_at, talk._loaded_at) as newest_loaded_at,
        projects.iana_timezone
    from conversations
    left join talk
        on talk.project_key = conversations.project_key
        and talk.conversation_id = conversations.conversation_id
    left join contacts
        on contacts.project_key = conversations.project_key
        and contacts.contact_id = conversations.contact_id
    left join customers
        on customers.project_key = contacts.project_key
        and customers.email_hash = contacts.email_hash
    left join inboxes
        on inboxes.project_key = conversations.project_key
        and inboxes.inbox_id = conversations.inbox_id
    left join projects on projects.project_key = conversations.project_key
),

final as (
    select
        project_key,
        {{ surrogate_key(['project_key', 'conversation_id']) }} as conversation_key,
        conversation_id,
        {{ date_key('created_date') }} as date_key,
        created_date as business_date,
        created_at,
        {{ customer_key('project_key', 'customer_id', 'null') }} as customer_key,
        customer_id,
        {{ person_key('project_key', 'email_hash') }} as person_key,
        contact_id,
        inbox_id,
        inbox_name,
        channel,
        assignee_id,
        assigned_bot_id,
        status,
        priority,
        labels,
        first_reply_at,
        {{ date_key(business_date('first_reply_at', 'iana_timezone')) }} as first_reply_date_key,
        extract(epoch from first_reply_at - created_at)::bigint as first_reply_seconds,
        resolved_at,
        {{ date_key(business_date('resolved_at', 'iana_timezone')) }} as resolved_date_key,
        extract(epoch from resolved_at - created_at)::bigint as resolve_seconds,
        status = 'resolved' as is_resolved,
        sla_due_at,
        first_reply_at > sla_due_at as is_sla_breached,
        message_count,
        incoming_message_count,
        outgoing_message_count,
        agent_message_count,
        bot_message_count,
        private_note_count,
        last_activity_at,
        waiting_since,
        snoozed_until,
        is_deleted,
        newest_loaded_at as _loaded_at
    from joined
)

{{ only_changed('final') }}
