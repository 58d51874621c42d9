{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'feedback_id'],
        indexes=[
            {'columns': ['project_key', 'feedback_id'], 'unique': true},
            {'columns': ['project_key', 'date_key']},
            {'columns': ['project_key', 'conversation_key']},
            {'columns': ['_loaded_at']},
        ],
    )
}}

with feedback as (
    {{ agent_rows(ref('stg_agent__feedback'), 'feedback_id', 'updated_at') }}
),

final as (
    select
        project_key,
        feedback_id,
        {{ date_key('created_date') }} as date_key,
        created_date as business_date,
        created_at,
        {{ surrogate_key(['project_key', 'conversation_id']) }} as conversation_key,
        conversation_id,
        {{ user_key('project_key', 'annotator_hash') }} as user_key,
        annotator_hash,
        input_length,
        draft_length,
        labels,
        cardinality(labels) as label_count,
        is_safe_to_send,
        1 as feedback_count,
        (is_safe_to_send is true)::int as safe_count,
        (is_safe_to_send is false)::int as unsafe_count,
        (is_safe_to_send is null)::int as unreviewed_count,
        clarity_mark,
        accuracy_mark,
        tone_mark,
        bad_mark_count,
        updated_at as _loaded_at,
        '{{ invocation_id }}'::text as _dbt_run_id
    from feedback
)

select *
from final
order by project_key, created_at, feedback_id
