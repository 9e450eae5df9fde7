/** Server-Sent Events: what the services say, to whoever looks at a dashboard. */
import { DeliverPolicy, type OrderedConsumerOptions } from "@nats-io/jetstream";
import { streams, subjects } from "@calibration/shared/topology.ts";
import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import { Problem } from "../problem.ts";
import { findSensor, maySee } from "../sensors.ts";
import { typed, type Parts } from "../server.ts";

const COMMENT_MS = 15_000;
const LISTENERS_MAX = 500;
/** A client that reads so much slower than events come is sent away; it resumes where it was. */
const BUFFERED_BYTES_MAX = 4 * 1024 * 1024;

export function eventRoutes(scope: FastifyInstance, { bus, pool, log }: Parts): void {
  let listeners = 0;
  const Query = Type.Object({ sensor_id: Type.Optional(Type.Integer()) });
  typed(scope).get(
    "/api/events",
    { config: { access: "read" }, schema: { querystring: Query } },
    async (request, reply) => {
      const { identity, query } = request;
      const sensor = query.sensor_id === undefined ? null : await findSensor(pool, query.sensor_id, identity);
      if (listeners >= LISTENERS_MAX)
        throw new Problem("unavailable", `${LISTENERS_MAX} listeners are connected already`);
      const since = Number(request.headers["last-event-id"] ?? NaN);
      const info = await bus.manager.streams.info(streams.events.name);
      const resumes = Number.isSafeInteger(since) && since >= 0;
      const isLost = resumes && (since + 1 < info.state.first_seq || since > info.state.last_seq);
      const options: Partial<OrderedConsumerOptions> =
        resumes && !isLost
          ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: since + 1 }
          : { deliver_policy: DeliverPolicy.New };
      const messages = await (await bus.jetstream.consumers.get(streams.events.name, options)).consume();
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
      raw.once("close", () => {
        listeners--;
        clearInterval(comment);
        messages.stop();
        readings?.unsubscribe();
      });
      void (async () => {
        for await (const message of messages) {
          const [, kind = "", place = ""] = message.subject.split(".");
          const body = message.json<{ sensor_id?: number; id?: number }>();
          const about = kind === "sensor" ? body.id : body.sensor_id;
          const isVisible = kind === "model" ? identity.sites === null : maySee(identity, place);
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
}
