CREATE TABLE "anomalies" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "anomalies_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"sensor_id" integer NOT NULL,
	"type" text,
	"value" double precision,
	"expected" double precision,
	"deviation" double precision,
	"severity" text NOT NULL,
	"resolved" boolean DEFAULT false NOT NULL,
	"resolved_by" text,
	"resolved_at" timestamp (3) with time zone,
	"timestamp" timestamp (3) with time zone NOT NULL,
	"last_seen" timestamp (3) with time zone NOT NULL,
	"count" integer NOT NULL,
	"score" double precision,
	"method" text NOT NULL,
	"model_version" integer,
	"alarm" boolean NOT NULL,
	"explanation" jsonb NOT NULL,
	"note" text,
	CONSTRAINT "anomalies_natural" UNIQUE("sensor_id","timestamp")
);
--> statement-breakpoint
CREATE TABLE "anomaly_state" (
	"sensor_id" integer PRIMARY KEY NOT NULL,
	"partition" integer NOT NULL,
	"body" jsonb NOT NULL,
	"gap_due_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "audit_log" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audit_log_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"token_id" bigint,
	"token_name" text,
	"method" text NOT NULL,
	"path" text NOT NULL,
	"status" integer NOT NULL,
	"detail" jsonb
);
--> statement-breakpoint
CREATE TABLE "calibrations" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "calibrations_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"sensor_id" integer NOT NULL,
	"method" text NOT NULL,
	"params" jsonb,
	"corrected_value" double precision NOT NULL,
	"applied_at" timestamp (3) with time zone NOT NULL,
	"valid_from" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "corrected_readings" (
	"sensor_id" integer NOT NULL,
	"timestamp" timestamp (3) with time zone NOT NULL,
	"raw_value" double precision NOT NULL,
	"corrected_value" double precision NOT NULL,
	"method" text NOT NULL,
	"model_version" integer,
	CONSTRAINT "corrected_readings_sensor_id_timestamp_pk" PRIMARY KEY("sensor_id","timestamp")
) PARTITION BY RANGE ("timestamp");--> statement-breakpoint
-- A month's own partition is made before its first row; this one takes what comes before that is done.
CREATE TABLE "corrected_readings_default" PARTITION OF "corrected_readings" DEFAULT;
--> statement-breakpoint
CREATE TABLE "dead_letters" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "dead_letters_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"subject" text NOT NULL,
	"site" text,
	"key" text,
	"reason" text NOT NULL,
	"detail" text NOT NULL,
	"payload" "bytea" NOT NULL,
	"stream_sequence" bigint NOT NULL,
	"element_index" integer NOT NULL,
	"stream_created" text NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"replayed_at" timestamp (3) with time zone,
	CONSTRAINT "dead_letters_origin" UNIQUE("stream_created","stream_sequence","element_index")
);
--> statement-breakpoint
CREATE TABLE "drift_predictions" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "drift_predictions_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"sensor_id" integer NOT NULL,
	"timestamp" timestamp (3) with time zone NOT NULL,
	"method" text NOT NULL,
	"model_version" integer,
	"fallback_reason" text,
	"baseline" double precision NOT NULL,
	"current_drift" double precision NOT NULL,
	"predictions" jsonb NOT NULL,
	CONSTRAINT "drift_predictions_natural" UNIQUE("sensor_id","timestamp")
);
--> statement-breakpoint
CREATE TABLE "hourly_means" (
	"sensor_id" integer NOT NULL,
	"hour" timestamp (3) with time zone NOT NULL,
	"mean" double precision NOT NULL,
	"count" integer NOT NULL,
	CONSTRAINT "hourly_means_sensor_id_hour_pk" PRIMARY KEY("sensor_id","hour")
);
--> statement-breakpoint
CREATE TABLE "model_artifacts" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "model_artifacts_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"model_name" text NOT NULL,
	"model_type" text NOT NULL,
	"sensor_id" integer NOT NULL,
	"version" integer NOT NULL,
	"current" boolean NOT NULL,
	"algorithm" text NOT NULL,
	"params" jsonb NOT NULL,
	"features" jsonb NOT NULL,
	"samples" integer NOT NULL,
	"metrics" jsonb NOT NULL,
	"trained_at" timestamp (3) with time zone NOT NULL,
	"trigger" text NOT NULL,
	"due_because" text,
	"training_from" timestamp (3) with time zone,
	"training_to" timestamp (3) with time zone,
	"size_bytes" integer NOT NULL,
	"sha256" text NOT NULL,
	"artifact" "bytea" NOT NULL,
	CONSTRAINT "model_artifacts_version" UNIQUE("sensor_id","model_type","version")
);
--> statement-breakpoint
CREATE TABLE "model_promotions" (
	"sensor_id" integer NOT NULL,
	"model_type" text NOT NULL,
	"valid_from" timestamp (3) with time zone NOT NULL,
	"model_id" bigint NOT NULL,
	"version" integer NOT NULL,
	CONSTRAINT "model_promotions_sensor_id_model_type_valid_from_pk" PRIMARY KEY("sensor_id","model_type","valid_from")
);
--> statement-breakpoint
CREATE TABLE "novelty_snapshots" (
	"sensor_id" integer PRIMARY KEY NOT NULL,
	"partition" integer NOT NULL,
	"position" bigint NOT NULL,
	"body" "bytea" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "readings" (
	"sensor_id" integer NOT NULL,
	"timestamp" timestamp (3) with time zone NOT NULL,
	"raw_value" double precision NOT NULL,
	"quality" smallint NOT NULL,
	"stream_sequence" bigint NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "readings_sensor_id_timestamp_pk" PRIMARY KEY("sensor_id","timestamp")
) PARTITION BY RANGE ("timestamp");--> statement-breakpoint
-- A month's own partition is made before its first row; this one takes what comes before that is done.
CREATE TABLE "readings_default" PARTITION OF "readings" DEFAULT;
--> statement-breakpoint
CREATE TABLE "readings_per_hour" (
	"sensor_id" integer NOT NULL,
	"bucket" timestamp (3) with time zone NOT NULL,
	"min" double precision NOT NULL,
	"max" double precision NOT NULL,
	"sum" numeric NOT NULL,
	"count" integer NOT NULL,
	CONSTRAINT "readings_per_hour_sensor_id_bucket_pk" PRIMARY KEY("sensor_id","bucket")
);
--> statement-breakpoint
CREATE TABLE "readings_per_minute" (
	"sensor_id" integer NOT NULL,
	"bucket" timestamp (3) with time zone NOT NULL,
	"min" double precision NOT NULL,
	"max" double precision NOT NULL,
	"sum" numeric NOT NULL,
	"count" integer NOT NULL,
	CONSTRAINT "readings_per_minute_sensor_id_bucket_pk" PRIMARY KEY("sensor_id","bucket")
);
--> statement-breakpoint
CREATE TABLE "sensor_drift" (
	"sensor_id" integer PRIMARY KEY NOT NULL,
	"partition" integer NOT NULL,
	"drift" double precision,
	"baseline" double precision,
	"span" double precision,
	"level" double precision NOT NULL,
	"timestamp" timestamp (3) with time zone NOT NULL,
	"body" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sensor_latest" (
	"sensor_id" integer PRIMARY KEY NOT NULL,
	"timestamp" timestamp (3) with time zone NOT NULL,
	"raw_value" double precision,
	"value_at" timestamp (3) with time zone,
	"received_at" timestamp (3) with time zone NOT NULL,
	"readings" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sensor_status" (
	"sensor_id" integer PRIMARY KEY NOT NULL,
	"learning" jsonb NOT NULL,
	"learnt_interval_s" double precision
);
--> statement-breakpoint
CREATE TABLE "sensor_versions" (
	"sensor_id" integer NOT NULL,
	"valid_from" timestamp (3) with time zone NOT NULL,
	"site" text NOT NULL,
	"key" text NOT NULL,
	"body" jsonb NOT NULL,
	"deleted" boolean DEFAULT false NOT NULL,
	CONSTRAINT "sensor_versions_sensor_id_valid_from_pk" PRIMARY KEY("sensor_id","valid_from")
);
--> statement-breakpoint
CREATE TABLE "sensors" (
	"id" integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY (sequence name "sensors_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1000 CACHE 1),
	"key" text NOT NULL,
	"site" text NOT NULL,
	"name" text NOT NULL,
	"type" text NOT NULL,
	"unit" text NOT NULL,
	"range_min" double precision,
	"range_max" double precision,
	"expected_interval_s" double precision,
	"baseline" double precision,
	"settings" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "sensors_site_key" UNIQUE("site","key")
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"sha256" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"token_id" bigint NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "stream_positions" (
	"service" text NOT NULL,
	"partition" integer NOT NULL,
	"stream_created" text NOT NULL,
	"kept" bigint NOT NULL,
	"told" bigint NOT NULL,
	"snapshot" bigint NOT NULL,
	"attempts" integer NOT NULL,
	"counters" jsonb NOT NULL,
	"untold" jsonb NOT NULL,
	CONSTRAINT "stream_positions_service_partition_pk" PRIMARY KEY("service","partition")
);
--> statement-breakpoint
CREATE TABLE "tokens" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "tokens_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"name" text NOT NULL,
	"role" text NOT NULL,
	"sites" text[],
	"sha256" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"last_used_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	CONSTRAINT "tokens_sha256_unique" UNIQUE("sha256")
);
--> statement-breakpoint
CREATE TABLE "training_jobs" (
	"id" uuid PRIMARY KEY NOT NULL,
	"trigger" text NOT NULL,
	"total" integer NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "training_runs" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "training_runs_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"job_id" uuid,
	"sensor_id" integer NOT NULL,
	"model_type" text NOT NULL,
	"trigger" text NOT NULL,
	"due_because" text,
	"status" text NOT NULL,
	"error" text,
	"required" integer,
	"available" integer,
	"model_id" bigint,
	"started_at" timestamp (3) with time zone NOT NULL,
	"finished_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "training_runs_job" UNIQUE("job_id","sensor_id","model_type")
);
--> statement-breakpoint
CREATE INDEX "anomalies_open" ON "anomalies" USING btree ("sensor_id") WHERE not resolved;--> statement-breakpoint
CREATE INDEX "anomalies_recent" ON "anomalies" USING btree ("timestamp","id");--> statement-breakpoint
CREATE INDEX "anomaly_state_gap" ON "anomaly_state" USING btree ("partition","gap_due_at");--> statement-breakpoint
CREATE INDEX "calibrations_sensor" ON "calibrations" USING btree ("sensor_id","applied_at");--> statement-breakpoint
CREATE INDEX "calibrations_valid_from" ON "calibrations" USING btree ("valid_from");--> statement-breakpoint
CREATE INDEX "dead_letters_reason" ON "dead_letters" USING btree ("reason","id");--> statement-breakpoint
CREATE INDEX "dead_letters_site_key" ON "dead_letters" USING btree ("site","key");--> statement-breakpoint
CREATE UNIQUE INDEX "model_artifacts_current" ON "model_artifacts" USING btree ("sensor_id","model_type") WHERE current;--> statement-breakpoint
CREATE INDEX "model_promotions_valid_from" ON "model_promotions" USING btree ("valid_from");--> statement-breakpoint
CREATE INDEX "novelty_snapshots_partition" ON "novelty_snapshots" USING btree ("partition");--> statement-breakpoint
CREATE INDEX "sensor_versions_valid_from" ON "sensor_versions" USING btree ("valid_from");--> statement-breakpoint
CREATE INDEX "sensor_versions_site_key" ON "sensor_versions" USING btree ("site","key");--> statement-breakpoint
CREATE INDEX "training_runs_recent" ON "training_runs" USING btree ("finished_at");