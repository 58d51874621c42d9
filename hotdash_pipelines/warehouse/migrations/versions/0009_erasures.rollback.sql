drop table ops.erasures;
