with source as (
    select * from {{ source('agent', 'facts') }}
),

store as (
    {{ agent_store() }}
),

renamed as (
    select
        id as fact_id,
        project as agent_project,
        topic,
        key as fact_name,
        jsonb_typeof(value) as value_type,
        created_at
    from source
),

final as (
    select
        {{ agent_project_key() }} as project_key,
        renamed.*,
        {{ agent_date('renamed.created_at') }} as created_date
    from renamed
)

select * from final
