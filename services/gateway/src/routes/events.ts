/** Server-Sent Events: what the services say, to whoever looks at a dashboard. */
import { DeliverPolicy, type OrderedConsumerOptions } from "@nats-io/jetstream";
import { streams, subjects } from "@calibration/shared/topology.ts";
import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { Identity } from "../auth.ts";
import { identityOf } from "../guard.ts";
import { Problem } from "../problem.ts";
import { findSensor, maySee } from "../sensors.ts";
import { typed, type Parts } from "../server.ts";

const COMMENT_MS = 15_000;
const LISTENERS_MAX = 500;
/** Whoever listens is asked for again so often: a token that was revoked hears nothing any more. */
const KNOWN_MS = 500;
/** The server forgets the consumer of a gateway that was killed. */
const FORGOTTEN_MS = 60_000;
/** A client that reads so much slower than events come is sent away; it resumes where it was. */
const BUFFERED_BYTES_MAX = 4 * 1024 * 1024;

/** Null where a client begins anew: browsers send nothing, some an empty line. Infinity: none that was ever given here. */
function readEventId(header: string | string[] | undefined): number | null {
  if (header === undefined || header === "") return null;
  return typeof header === "string" && /^\d{1,15}$/.test(header) ? Number(header) : Infinity;
}

export function eventRoutes(scope: FastifyInstance, { bus, pool, log, auth }: Parts): void {
  let listeners = 0;
  const Query = Type.Object({ sensor_id: Type.Optional(Type.Integer()) });
  typed(scope).get(
    "/api/events",
    { config: { access: "read" }, schema: { querystring: Query } },
    async (request, reply) => {
      const { identity, query } = request;
      const sensor = query.sensor_id === undefined ? null : await findSensor(pool, query.sensor_id, identity);
      // It asks for the headers alone; no event would ever end the answer.
      if (request.method === "HEAD") return reply.type("text/event-stream").header("cache-control", "no-store").send();
      if (listeners >= LISTENERS_MAX)
        throw new Problem("unavailable", `${LISTENERS_MAX} listeners are connected already`);
      const since = readEventId(request.headers["last-event-id"]);
      const info = await bus.manager.streams.info(streams.events.name);
      const isLost = since !== null && (since + 1 < info.state.first_seq || since > info.state.last_seq);
      const options: Partial<OrderedConsumerOptions> =
        since !== null && !isLost
          ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: since + 1 }
          : { deliver_policy: DeliverPolicy.New };
      const consumer = await bus.jetstream.consumers.get(streams.events.name, {
        ...options,
        inactive_threshold: FORGOTTEN_MS,
      });
      const messages = await consumer.consume();
      const readings = sensor === null ? null : bus.connection.subscribe(subjects.corrected(sensor.site, sensor.key));

      listeners++;
      reply.hijack();
      const { raw } = reply;
      raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
      const write = (text: string): void => {
        raw.write(text);
        if (raw.writableLength > BUFFERED_BYTES_MAX) raw.destroy();
      };
      write(isLost ? "event: reset\ndata: {}\n\n" : ": listening\n\n");
      const comment = setInterval(() => write(": still here\n\n"), COMMENT_MS);
      const known = setInterval(() => {
        void identityOf(request, auth).then(
          (now) => now === null && raw.destroy(),
          // The database is away, and with it whatever would be said of the token.
          () => undefined,
        );
      }, KNOWN_MS);
      const end = () => {
        listeners--;
        clearInterval(comment);
        clearInterval(known);
        void messages.close();
        readings?.unsubscribe();
        // Left to itself it would stay for as long as a listener may be away.
        consumer.delete().catch(() => undefined);
      };
      // Who was gone before there was anything to end does not go again.
      if (raw.destroyed) end();
      else raw.once("close", end);
      void (async () => {
        for await (const message of messages) {
          const [, kind = "", place = ""] = message.subject.split(".");
          const body = message.json<{ sensor_id?: number; id?: number }>();
          const about = kind === "sensor" ? body.id : body.sensor_id;
          const isVisible = kind === "model" ? await maySeeModel(identity, about) : maySee(identity, place);
          if (isVisible && (sensor === null || about === sensor.id))
            write(`event: ${kind}\nid: ${message.seq}\ndata: ${JSON.stringify(body)}\n\n`);
        }
      })().catch((error: unknown) => log.warn({ error }, "a listener lost its events"));
      if (readings !== null) {
        void (async () => {
          for await (const message of readings) write(`event: reading\ndata: ${message.string()}\n\n`);
        })().catch(() => undefined);
      }
    },
  );

  /** A model's event names its sensor, and not the sensor's site. */
  async function maySeeModel(identity: Identity, sensorId: number | undefined): Promise<boolean> {
    if (identity.sites === null) return true;
    const { rows } = await pool.query<{ site: string }>("select site from sensors where id = $1", [sensorId ?? 0]);
    return rows[0] !== undefined && maySee(identity, rows[0].site);
  }
}
