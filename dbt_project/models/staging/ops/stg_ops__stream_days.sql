with source as (
    select * from {{ source('ops', 'stream_days') }}
),

renamed as (
    select
        project_key,
        source,
        stream,
        business_date,
        has_source_count,
        source_count,
        counted_at,
        loaded_count,
        deleted_count,
        as_of,
        state,
        is_complete,
        reason
    from source
),

final as (
    select * from renamed
)

select * from final
