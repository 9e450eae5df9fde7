-- Snapshots and what is to be told are written anew with every batch: compressing them costs more than it saves.
ALTER TABLE "novelty_snapshots" ALTER COLUMN "body" SET STORAGE EXTERNAL;
--> statement-breakpoint
ALTER TABLE "stream_positions" ALTER COLUMN "untold" SET STORAGE EXTERNAL;
--> statement-breakpoint
-- The snapshots' format has changed. They are a fold of the log: without one it is read again from its beginning.
DELETE FROM "novelty_snapshots";
--> statement-breakpoint
UPDATE "stream_positions" SET "snapshot" = 0 WHERE "service" = 'anomaly';
