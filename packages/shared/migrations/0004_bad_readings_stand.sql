CREATE TABLE "correction_state" (
	"sensor_id" integer PRIMARY KEY NOT NULL,
	"newest_bad" timestamp (3) with time zone NOT NULL
);
