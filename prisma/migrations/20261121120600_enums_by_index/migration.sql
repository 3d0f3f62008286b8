-- Under row-level security a condition is part of an index's search, and is estimated by the table's statistics, only if
-- its operator is known to leak nothing. Comparing enums is not marked so, though it compares two numbers and nothing
-- else (enum.c): a list of active calls would read all that the organisation ever had. Only a superuser may say so;
-- elsewhere the conditions are right and slower.
DO $$
BEGIN
  ALTER FUNCTION pg_catalog.enum_eq(anyenum, anyenum) LEAKPROOF;
  ALTER FUNCTION pg_catalog.enum_ne(anyenum, anyenum) LEAKPROOF;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'enums are compared without an index: only a superuser may mark enum_eq and enum_ne as leakproof';
END
$$;
