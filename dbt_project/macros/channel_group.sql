{#
    Google's published rules for the default channel group of a session, in their order, for sessions that are known
    by source, medium and campaign only (GA4's own rows keep the group that Google gave them).
#}
{% macro channel_group(source, medium, campaign) -%}
    {%- set search = '(^|\\.)(google|bing|yahoo|duckduckgo|baidu|ecosia|yandex|startpage|qwant|brave)(\\.|$)' -%}
    {%- set social = '(^|\\.)(facebook|fb|instagram|ig|tiktok|twitter|t\\.co|x|linkedin|pinterest|reddit|snapchat|threads|whatsapp)(\\.|$)' -%}
    {%- set video = '(^|\\.)(youtube|vimeo|twitch|dailymotion)(\\.|$)' -%}
    {%- set shopping = '(^|\\.)(amazon|ebay|etsy|walmart|alibaba|aliexpress|shopzilla|shopping)(\\.|$)' -%}
    {%- set shopping_campaign = '^(.*(([^a-df-z]|^)shop|shopping).*)$' -%}
    {%- set paid = '^(.*cp.*|ppc|retargeting|paid.*)$' -%}
    case
        when {{ source }} is null and {{ medium }} is null then '(not set)'
        when {{ source }} = '(direct)' and coalesce({{ medium }}, '(none)') in ('(not set)', '(none)') then 'Direct'
        when {{ campaign }} ~ 'cross-network' then 'Cross-network'
        when ({{ source }} ~ '{{ shopping }}' or {{ campaign }} ~ '{{ shopping_campaign }}') and {{ medium }} ~ '{{ paid }}' then 'Paid Shopping'
        when {{ source }} ~ '{{ search }}' and {{ medium }} ~ '{{ paid }}' then 'Paid Search'
        when {{ source }} ~ '{{ social }}' and {{ medium }} ~ '{{ paid }}' then 'Paid Social'
        when {{ source }} ~ '{{ video }}' and {{ medium }} ~ '{{ paid }}' then 'Paid Video'
        when {{ medium }} in ('display', 'banner', 'expandable', 'interstitial', 'cpm') then 'Display'
        when {{ medium }} ~ '{{ paid }}' then 'Paid Other'
        when {{ source }} ~ '{{ shopping }}' or {{ campaign }} ~ '{{ shopping_campaign }}' then 'Organic Shopping'
        when {{ source }} ~ '{{ social }}' or {{ medium }} in ('social', 'social-network', 'social-media', 'sm', 'social network', 'social media') then 'Organic Social'
        when {{ source }} ~ '{{ video }}' or {{ medium }} ~ 'video' then 'Organic Video'
        when {{ source }} ~ '{{ search }}' or {{ medium }} = 'organic' then 'Organic Search'
        when {{ source }} in ('email', 'e-mail', 'e_mail', 'e mail') or {{ medium }} in ('email', 'e-mail', 'e_mail', 'e mail') then 'Email'
        when {{ medium }} = 'affiliate' then 'Affiliates'
        when {{ medium }} in ('referral', 'app', 'link') then 'Referral'
        when {{ medium }} = 'audio' then 'Audio'
        when {{ source }} = 'sms' or {{ medium }} = 'sms' then 'SMS'
        when {{ medium }} ~ 'push$|mobile|notification' or {{ source }} = 'firebase' then 'Mobile Push Notifications'
        else 'Unassigned'
    end
{%- endmacro %}


{# GA4 names sessions without a campaign after their kind; in the dimension they are all '(not set)'. #}
{% macro campaign_name(campaign) -%}
    case
        when coalesce({{ campaign }}, '') in ('', '(none)', '(not set)', '(organic)', '(direct)', '(referral)') then '(not set)'
        else lower({{ campaign }})
    end
{%- endmacro %}
