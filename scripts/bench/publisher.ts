/** Publishing as fast as the server takes it: one inbox, acknowledgements counted, a bounded number of them out. */
import type { Bus } from "@calibration/shared/bus.ts";
import { subjects } from "@calibration/shared/topology.ts";

const OUT_MAX = 2000;
const SLOT_MS = 2;

export interface Publishing {
  say(subject: string, body: string): Promise<void>;
  /** Returns when everything is acknowledged. */
  settle(): Promise<void>;
}

export function createPublishing(bus: Pick<Bus, "connection">): Publishing & Disposable {
  const inbox = `_INBOX_admin.bench.${Math.floor(performance.now() * 1000)}`;
  let said = 0;
  let acknowledged = 0;
  const refused: string[] = [];
  const subscription = bus.connection.subscribe(inbox, {
    callback: (_, message) => {
      acknowledged++;
      const text = message.string();
      if (text.includes('"error"')) refused.push(text);
    },
  });
  const untilOut = async (most: number) => {
    while (said - acknowledged > most) {
      if (refused.length > 0) throw new Error(`refused: ${refused[0]}`);
      await new Promise((resolve) => setTimeout(resolve, SLOT_MS));
    }
  };
  return {
    async say(subject, body) {
      bus.connection.publish(subject, body, { reply: inbox });
      if (++said % 500 === 0) await untilOut(OUT_MAX);
    },
    settle: () => untilOut(0),
    [Symbol.dispose]: () => subscription.unsubscribe(),
  };
}

/** A second apart, with a daily rhythm and a noise that comes out the same every time. */
export function aReading(sensor: number, index: number, firstMs: number): { value: number; timestamp: string } {
  const timestampMs = firstMs + index * 1000;
  const noise = Math.imul((index * 2_654_435_761) ^ (sensor * 40_503), 2_246_822_519) >>> 8;
  const value = 20 + 5 * Math.sin((timestampMs / 86_400_000) * 2 * Math.PI) + (noise / 2 ** 24 - 0.5) * 2;
  return { value: Math.round(value * 1000) / 1000, timestamp: new Date(timestampMs).toISOString() };
}

/** A backlog of so many readings, round and round the sensors 1 … n, with room for so many seconds of more behind it. */
export async function publishBacklog(
  bus: Bus,
  {
    sensors,
    readings,
    perMessage,
    roomS = 60,
  }: { sensors: number; readings: number; perMessage: number; roomS?: number },
): Promise<number> {
  using publishing = createPublishing(bus);
  const messages = Math.ceil(readings / perMessage);
  const rounds = Math.ceil(messages / sensors);
  const firstMs = Math.floor(Date.now() / 1000) * 1000 - (rounds * perMessage + roomS) * 1000;
  let count = 0;
  for (let round = 0; round < rounds; round++) {
    for (let sensor = 1; sensor <= sensors && count < messages; sensor++, count++) {
      const body = Array.from({ length: perMessage }, (_, i) => aReading(sensor, round * perMessage + i, firstMs));
      await publishing.say(subjects.reading("main", String(sensor)), JSON.stringify(perMessage === 1 ? body[0] : body));
    }
  }
  await publishing.settle();
  return count * perMessage;
}
