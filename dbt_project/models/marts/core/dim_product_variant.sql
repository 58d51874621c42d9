{{
    config(
        incremental_strategy='merge',
        unique_key=['project_key', 'product_variant_key'],
        indexes=[
            {'columns': ['project_key', 'product_variant_key'], 'unique': true},
            {'columns': ['project_key', 'variant_id']},
        ],
    )
}}

with variants as (
    select * from {{ ref('stg_shopify__product_variants') }}
),

products as (
    select * from {{ ref('stg_shopify__products') }}
),

lines as (
    select * from {{ ref('stg_shopify__order_lines') }}
),

known as (
    select
        variants.project_key,
        variants.variant_id,
        variants.product_id,
        products.title as product_title,
        variants.title as variant_title,
        variants.sku,
        variants.barcode,
        products.handle,
        products.product_type,
        products.vendor,
        products.status,
        variants.price_amount,
        variants.compare_at_amount,
        variants.unit_cost_amount,
        variants.is_deleted or coalesce(products.is_deleted, false) as is_deleted,
        false as is_inferred
    from variants
    left join products
        on products.project_key = variants.project_key
        and products.product_id = variants.product_id
),

-- Sold, but never listed: what its newest line tells.
inferred as (
    select distinct on (lines.project_key, lines.variant_id)
        lines.project_key,
        lines.variant_id,
        lines.product_id,
        lines.title as product_title,
        lines.variant_title,
        lines.sku,
        lines.vendor
    from lines
    where lines.variant_id is not null
        and not exists (
            select 1
            from variants
            where variants.project_key = lines.project_key
                and variants.variant_id = lines.variant_id
        )
    order by lines.project_key, lines.variant_id, lines.order_id desc, lines.order_line_id desc
),

members as (
    select * from known
    union all
    select
        project_key, variant_id, product_id, product_title, variant_title, sku, null, null, null, vendor, null,
        null, null, null, false, true
    from inferred
    union all
    select
        project_key, null, null, '(unknown)', null, null, null, null, null, null, null, null, null, null, false, false
    from {{ ref('stg_ops__projects') }}
),

final as (
    select
        project_key,
        {{ product_variant_key('project_key', 'variant_id') }} as product_variant_key,
        variant_id,
        product_id,
        product_title,
        variant_title,
        sku,
        barcode,
        handle,
        product_type,
        vendor,
        status,
        price_amount,
        compare_at_amount,
        unit_cost_amount,
        is_deleted,
        is_inferred,
        variant_id is null as is_unknown,
        '1900-01-01 00:00:00+00'::timestamptz as valid_from,
        '9999-12-31 00:00:00+00'::timestamptz as valid_to,
        true as is_current
    from members
)

{{ only_changed('final') }}
