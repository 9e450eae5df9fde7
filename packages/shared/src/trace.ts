/** The W3C trace context: whoever publishes a reading may name a trace, and finds it in our events and in our logs. */
import { headers, type MsgHdrs } from "@nats-io/transport-node";

export const TRACEPARENT_HEADER = "traceparent";
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** As it was sent, or null where it is none: what goes into logs and events has this form and length. */
export const traceparentOf = (given: unknown): string | null =>
  typeof given === "string" && TRACEPARENT.test(given) ? given : null;

/** As a publish option; none where there is no trace. */
export function traceHeaders(traceparent: string | null | undefined): { headers?: MsgHdrs } {
  if (traceparent === null || traceparent === undefined) return {};
  const made = headers();
  made.set(TRACEPARENT_HEADER, traceparent);
  return { headers: made };
}
