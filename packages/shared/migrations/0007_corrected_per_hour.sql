CREATE TABLE "corrected_per_hour" (
	"sensor_id" integer NOT NULL,
	"bucket" timestamp (3) with time zone NOT NULL,
	"min" double precision NOT NULL,
	"max" double precision NOT NULL,
	"sum" numeric NOT NULL,
	"count" integer NOT NULL,
	CONSTRAINT "corrected_per_hour_sensor_id_bucket_pk" PRIMARY KEY("sensor_id","bucket")
);
--> statement-breakpoint
INSERT INTO "corrected_per_hour"
SELECT "sensor_id", date_trunc('hour', "timestamp", 'UTC'), min("corrected_value"), max("corrected_value"), sum("corrected_value"::numeric), count(*)
  FROM "corrected_readings" GROUP BY 1, 2;
