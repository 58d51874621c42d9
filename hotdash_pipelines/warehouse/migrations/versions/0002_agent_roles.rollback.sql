-- The roles stay: they belong to the server, and other databases may use them.
alter default privileges grant execute on functions to public;
drop function app.store_timezone();
drop function app.claim_conversation_id();
drop function app.claim_request_id();
drop function app.claim_scope();
drop function app.claim_project();
drop function app.claim(text, text);
drop schema monitoring_private;
drop schema monitoring;
drop schema app;
drop schema agent;
