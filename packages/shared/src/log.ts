import { pino } from "pino";

export type Log = ReturnType<typeof createLog>;

/** JSON lines on standard output: a short constant sentence, plus fields. */
export function createLog(service: string, level: string) {
  return pino({
    base: { service },
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    messageKey: "message",
    errorKey: "error",
    redact: ["password", "token", "authorization", "*.password", "*.token", "*.authorization"],
  });
}
