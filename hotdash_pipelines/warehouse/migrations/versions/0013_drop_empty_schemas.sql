-- Nothing was ever put into them by us. One that somebody uses, or gave rights on, stays.
do $$
declare
    unused text;
begin
    for unused in
        select nspname from pg_catalog.pg_namespace
        where nspname in ('marts_analytics', 'quarantine', 'audit', 'snapshots') and nspacl is null
    loop
        begin
            execute pg_catalog.format('drop schema %I', unused);
        exception when dependent_objects_still_exist or insufficient_privilege then
            raise notice 'schema % is in use and stays', unused;
        end;
    end loop;
end $$;
