-- Roles belong to the whole server, so several databases may share them: they are made where missing and never dropped.
do $$
declare
    wanted record;
begin
    for wanted in
        select *
        from (values
            ('anon', 'nologin'),
            ('authenticated', 'nologin'),
            ('service_role', 'nologin'),
            ('annotator', 'nologin'),
            ('qa_team', 'nologin'),
            ('operator', 'nologin'),
            ('operator_readonly', 'nologin'),
            ('monitoring_team', 'nologin'),
            ('ai_readonly', 'nologin'),
            ('webhook_writer', 'nologin'),
            ('hotdash_retention', 'nologin'),
            -- Without a password nobody signs in as these two: an administrator sets one where they are used.
            ('hotdash_api', 'login noinherit'),
            ('hotdash_backup', 'login bypassrls')
        ) as roles (name, attributes)
        where not exists (select from pg_catalog.pg_roles where rolname = roles.name)
    loop
        begin
            execute format('create role %I %s', wanted.name, wanted.attributes);
        exception
            when duplicate_object or unique_violation then
                null;  -- another database of this server made it in the same moment
            when insufficient_privilege then
                raise exception 'role % is missing and this user may not create it: let an administrator run `create role % %`',
                    wanted.name, wanted.name, wanted.attributes using errcode = 'insufficient_privilege';
        end;
    end loop;

    -- The pipeline reads under the policies of service_role, also where its user is no superuser.
    if not pg_has_role(current_user, 'service_role', 'usage') then
        begin
            execute format('grant service_role to %I', current_user);
        exception
            when insufficient_privilege then
                raise exception '% is no member of service_role: let an administrator run `grant service_role to %`',
                    current_user, current_user using errcode = 'insufficient_privilege';
        end;
    end if;
    for wanted in
        select unnest(array['anon', 'authenticated', 'operator', 'operator_readonly', 'qa_team', 'service_role']) as name
    loop
        if not pg_has_role('hotdash_api', wanted.name, 'member') then
            execute format('grant %I to hotdash_api', wanted.name);
        end if;
    end loop;
end
$$;

create schema agent;
comment on schema agent is 'What the support agent writes: approvals, feedback, queries, facts, decisions, logs, curated replies.';
create schema app;
comment on schema app is 'Who is asking: the claims of the current request, read by the policies.';
create schema monitoring;
comment on schema monitoring is 'Live figures of the support agent, each read with the rights of the reader.';
create schema monitoring_private;
comment on schema monitoring_private is 'Stored figures over all rows: policies cannot guard a materialised view, so tenants have no way in here.';
revoke all on schema agent, app, monitoring, monitoring_private from public;

-- A function is open to everybody unless told otherwise.
alter default privileges revoke execute on functions from public;

-- The claim of the verified token, else the session's variable. A claim that is there wins, be it empty: then nothing is
-- seen. Claims that are no JSON object count as claims that name nobody, whatever the variables say.
-- Evaluated once a query (policies wrap it in a subquery), so the exception block costs nothing that shows.
create function app.claim(name text, variable text) returns text
language plpgsql stable parallel restricted
set search_path = ''
as $$
declare
    claims text := nullif(pg_catalog.current_setting('request.jwt.claims', true), '');
    parsed jsonb;
begin
    if claims is not null then
        begin
            parsed := claims::jsonb;
        exception when others then
            return null;
        end;
        if pg_catalog.jsonb_typeof(parsed) <> 'object' then
            return null;
        end if;
        if parsed ? name then
            -- Only a string can name a tenant; anything else names nobody.
            return case when pg_catalog.jsonb_typeof(parsed -> name) = 'string' then nullif(parsed ->> name, '') end;
        end if;
    end if;
    return nullif(pg_catalog.current_setting(variable, true), '');
end
$$;
comment on function app.claim(text, text) is 'A claim of request.jwt.claims, else a session variable, else null. Null matches no row.';

create function app.claim_project() returns text language sql stable parallel restricted set search_path = ''
as $$ select app.claim('project', 'app.current_project') $$;
create function app.claim_scope() returns text language sql stable parallel restricted set search_path = ''
as $$ select app.claim('scope', 'app.current_scope') $$;
create function app.claim_request_id() returns text language sql stable parallel restricted set search_path = ''
as $$ select app.claim('request_id', 'app.request_id') $$;
create function app.claim_conversation_id() returns text language sql stable parallel restricted set search_path = ''
as $$ select app.claim('conversation_id', 'app.conversation_id') $$;

-- Business days are the store's. With the rights of its owner, because tenants may not read ops.projects.
create function app.store_timezone() returns text language sql stable parallel restricted security definer set search_path = ''
as $$
    select coalesce(
        (select iana_timezone from ops.projects where project_key = app.claim_project()),
        (select min(iana_timezone) from ops.projects having count(distinct iana_timezone) = 1),
        'UTC'
    )
$$;
comment on function app.store_timezone() is 'Zone of the claimed project, else of the only store here, else UTC.';
