with source as (
    select * from {{ source('agent', 'agent_feedback') }}
),

store as (
    {{ agent_store() }}
),

renamed as (
    select
        id as feedback_id,
        conversation_id,
        length(input_text) as input_length,
        length(model_draft) as draft_length,
        safe_to_send as is_safe_to_send,
        coalesce(labels, '{}') as labels,
        {{ rubric_mark('clarity') }} as clarity_mark,
        {{ rubric_mark('accuracy') }} as accuracy_mark,
        {{ rubric_mark('tone') }} as tone_mark,
        {{ bad_rubric_marks(['clarity', 'accuracy', 'tone']) }} as bad_mark_count,
        {{ personal_hash('annotator') }} as annotator_hash,
        created_at,
        updated_at
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
