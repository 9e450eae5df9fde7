-- Months are made and dropped by these two, which act as the tables' owner: the services may make and drop no others.
-- Temporary tables come last in the search, so that nobody can put one of his own in a table's place.
CREATE FUNCTION "make_month"(parent text, month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	IF parent NOT IN ('readings', 'corrected_readings') OR NOT has_table_privilege(session_user, parent, 'INSERT') THEN
		RAISE insufficient_privilege USING MESSAGE = format('%s may make no months of %s', session_user, parent);
	END IF;
	month := date_trunc('month', month::timestamp);
	EXECUTE format(
		'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
		parent || to_char(month, '_YYYY_MM'),
		parent,
		month::timestamp AT TIME ZONE 'UTC',
		(month + interval '1 month') AT TIME ZONE 'UTC'
	);
END $$;
--> statement-breakpoint
CREATE FUNCTION "drop_month"(parent text, month date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	IF parent NOT IN ('readings', 'corrected_readings') OR NOT has_table_privilege(session_user, parent, 'INSERT')
		OR date_trunc('month', month::timestamp) + interval '1 month' > now() AT TIME ZONE 'UTC' THEN
		RAISE insufficient_privilege USING MESSAGE = format('%s may not drop %s of %s', session_user, month, parent);
	END IF;
	EXECUTE format('DROP TABLE IF EXISTS %I', parent || to_char(month, '_YYYY_MM'));
END $$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION "make_month", "drop_month" FROM PUBLIC;
