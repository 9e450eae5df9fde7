CREATE TABLE "site_budgets" (
	"site" text PRIMARY KEY NOT NULL,
	"false_alarms_per_month" double precision NOT NULL
);
