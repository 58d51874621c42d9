{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'customer_key'],
        indexes=[
            {'columns': ['project_key', 'customer_key'], 'unique': true},
            {'columns': ['project_key', 'customer_id']},
            {'columns': ['project_key', 'person_key']},
        ],
    )
}}

with customers as (
    select * from {{ ref('stg_shopify__customers') }}
),

orders as (
    select * from {{ ref('int_order__valid') }}
),

placed as (
    select
        project_key,
        customer_key,
        customer_id,
        email_hash,
        order_id,
        processed_at,
        business_date,
        channel_key,
        customer_order_number,
        is_deleted,
        deleted_at,
        _loaded_at,
        count(*) over so_far as place,
        count(*) filter (where not is_deleted) over so_far - (not is_deleted)::int as kept_before,
        count(*) filter (where not is_deleted and customer_order_number is null) over so_far as unnumbered_count
    from orders
    where customer_key <> {{ unknown_key() }}
    window so_far as (partition by project_key, customer_key order by processed_at, order_id)
),

-- The shop numbers anew after a deletion: a number counts of what was deleted only that which went after it was read.
deleted_since as (
    select
        placed.project_key,
        placed.order_id,
        count(*) as deleted_count
    from placed
    inner join placed as deleted
        on deleted.project_key = placed.project_key
        and deleted.customer_key = placed.customer_key
        and deleted.place < placed.place
        and deleted.is_deleted
        and deleted.deleted_at > placed._loaded_at
    group by placed.project_key, placed.order_id
),

counted as (
    select
        placed.*,
        coalesce(deleted_since.deleted_count, 0) as deleted_count,
        -- A number greater than the place tells of an earlier order that is not loaded.
        coalesce(bool_or(placed.customer_order_number > placed.place) over so_far, false) as lacks_one_before_it
    from placed
    left join deleted_since
        on deleted_since.project_key = placed.project_key
        and deleted_since.order_id = placed.order_id
    window so_far as (partition by placed.project_key, placed.customer_key order by placed.place)
),

-- Where an order without a number is there before it, a number counts that as well. An order whose number counts no more
-- than what is loaded has all that came before it beside it.
numbered as (
    select
        counted.*,
        customer_order_number <= 1
        or (
            customer_order_number - deleted_count <= 1
            and unnumbered_count = 0
            and not lacks_one_before_it
        ) as is_numbered_first,
        customer_order_number <= 1 + kept_before + deleted_count and not lacks_one_before_it as has_all_before_it
    from counted
),

-- What the shop says of a customer is of when their row was last read with a change: what it deleted since is counted
-- there.
seen as (
    select
        numbered.project_key,
        numbered.customer_key,
        bool_or(numbered.has_all_before_it) as is_known_from_the_first,
        bool_or(numbered.lacks_one_before_it) as lacks_an_earlier_order,
        count(*) filter (
            where not numbered.is_deleted or numbered.deleted_at > customers._loaded_at
        ) as order_count
    from numbered
    left join customers
        on customers.project_key = numbered.project_key
        and customers.customer_id = numbered.customer_id
    group by numbered.project_key, numbered.customer_key
),

-- Who bought nothing but what was deleted is a member all the same, since the facts point to them.
buyers as (
    select distinct on (project_key, customer_key)
        project_key,
        customer_key,
        customer_id,
        email_hash,
        order_id,
        business_date,
        channel_key,
        is_numbered_first,
        is_deleted
    from numbered
    order by project_key, customer_key, is_deleted, coalesce(is_numbered_first, false) desc, processed_at, order_id
),

known as (
    select
        customers.project_key,
        {{ customer_key('customers.project_key', 'customers.customer_id', 'customers.email_hash') }} as customer_key,
        customers.customer_id,
        customers.email_hash,
        customers.name_hash,
        customers.state,
        customers.email_marketing_state,
        customers.tags,
        customers.city,
        customers.province_code,
        customers.country_code,
        customers.created_at,
        customers.created_date,
        customers.order_count as lifetime_order_count,
        customers.spent_amount as lifetime_amount,
        customers.currency_code as lifetime_currency_code,
        customers.is_deleted
    from customers
),

-- The earliest order that is loaded need not be the first one: the shop numbers the customer's orders, and where it does
-- not (point of sale), counts them. A guest has no history but what is loaded.
firsts as (
    select
        buyers.*,
        not buyers.is_deleted and coalesce(
            buyers.is_numbered_first,
            buyers.customer_id is null
            or seen.is_known_from_the_first
            or (seen.order_count >= known.lifetime_order_count and not seen.lacks_an_earlier_order),
            false
        ) as is_first
    from buyers
    inner join seen
        on seen.project_key = buyers.project_key
        and seen.customer_key = buyers.customer_key
    left join known
        on known.project_key = buyers.project_key
        and known.customer_key = buyers.customer_key
),

members as (
    select
        project_key,
        customer_key,
        coalesce(known.customer_id, firsts.customer_id) as customer_id,
        -- Once the account is known, its address counts, even when there is none any more.
        case when known.customer_id is not null then known.email_hash else firsts.email_hash end as email_hash,
        known.name_hash,
        known.state,
        known.email_marketing_state,
        known.tags,
        known.city,
        known.province_code,
        known.country_code,
        known.created_at,
        known.created_date,
        coalesce(known.is_deleted, false) as is_deleted,
        known.customer_id is null and firsts.customer_id is null as is_guest,
        known.customer_id is null and firsts.customer_id is not null as is_inferred,
        false as is_unknown,
        case when firsts.is_first then firsts.order_id end as first_order_id,
        case when firsts.is_first then firsts.business_date end as first_order_date,
        case when firsts.is_first then firsts.channel_key end as acquisition_channel_key,
        known.lifetime_order_count,
        known.lifetime_amount,
        known.lifetime_currency_code
    from known
    full join firsts using (project_key, customer_key)
    union all
    select
        project_key,
        {{ unknown_key() }},
        null, null, null, null, null, null, null, null, null, null, null,
        false, false, false, true, null, null, null, null, null, null
    from {{ ref('stg_ops__projects') }}
),

final as (
    select
        project_key,
        customer_key,
        customer_id,
        case
            when email_hash is not null then {{ person_key('project_key', 'email_hash') }}
            else customer_key
        end as person_key,
        email_hash,
        name_hash,
        state,
        email_marketing_state,
        tags,
        city,
        province_code,
        country_code,
        created_at,
        {{ date_key('created_date') }} as created_date_key,
        {{ date_key('first_order_date') }} as first_order_date_key,
        first_order_date,
        coalesce(acquisition_channel_key, {{ unknown_key() }}) as acquisition_channel_key,
        first_order_id,
        lifetime_order_count,
        lifetime_amount,
        lifetime_currency_code,
        is_guest,
        is_inferred,
        is_unknown,
        is_deleted,
        '1900-01-01 00:00:00+00'::timestamptz as valid_from,
        '9999-12-31 00:00:00+00'::timestamptz as valid_to,
        true as is_current
    from members
)

{{ only_changed('final') }}
