alter table ops.lake_loads
add column is_open boolean not null default false,
add column complete_to timestamptz;
update ops.lake_loads as loads
set complete_to = (loads.window_key::date + 1)::timestamp at time zone projects.iana_timezone
from ops.projects as projects where projects.project_key = loads.project_key;
comment on column ops.lake_loads.is_open is 'The day was not over when the window was read: it is read again.';
comment on column ops.lake_loads.complete_to is 'The instant up to which nothing of the window is missing: its end, or when the open day was read. Null: loaded by a version that did not say.';
