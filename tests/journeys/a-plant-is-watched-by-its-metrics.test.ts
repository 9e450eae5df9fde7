/**
 *   plant gateway ──readings.main.7 (traceparent)──▶ services ──▶ events.anomaly.main.7 (traceparent), logs
 *                                                       │
 *                     Prometheus ◀──── /metrics ────────┘      alerts.yml and calibration.json use what is there
 */
import { traceHeaders, TRACEPARENT_HEADER } from "@calibration/shared/trace.ts";
import { readFileSync } from "node:fs";
import { afterAll, expect, it } from "vitest";
import { openPlant, WAIT_MS, type Plant, type RunningService } from "../support/plant.ts";
import { hasPrometheus, openPrometheus } from "../support/prometheus.ts";
import { openGateway } from "../support/rest.ts";

const MINUTE_MS = 60_000;
const TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OBSERVABILITY = new URL("../../deploy/observability/", import.meta.url);

const stack = new AsyncDisposableStack();
let opened: Promise<{ plant: Plant; services: RunningService[] }> | null = null;
/** One plant for all: opened by the first test that asks. */
const plantAtWork = () => (opened ??= open());

async function open() {
  const plant = stack.use(await openPlant({ partitions: 2 }));
  const services: RunningService[] = [];
  const sensor = await plant.aSensor({ id: 7 });
  for (const name of ["ingest", "anomaly", "drift", "calibration", "trainer"] as const)
    services.push(await plant.start(name));
  const gateway = await openGateway(plant);
  services.push(gateway.service);

  const now = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  const calm = Array.from({ length: 120 }, (_, n) => ({
    value: 20 + Math.sin(n / 7) + 0.3 * Math.sin(n * 1.7),
    timestamp: now - (121 - n) * MINUTE_MS,
  }));
  await plant.publish(sensor, calm);
  await plant.publish(sensor, calm[0]);
  await plant.publish({ site: "main", key: "nobody" }, [calm[0], calm[1]]);
  await plant.gateway.jetstream.publish("readings.main.7", "{", { timeout: WAIT_MS });
  await plant.gateway.jetstream.publish("readings.main.7", JSON.stringify({ value: 90, timestamp: now - MINUTE_MS }), {
    timeout: WAIT_MS,
    ...traceHeaders(TRACEPARENT),
  });
  await expect.poll(async () => (await plant.rows("select 1 from readings")).length, { timeout: WAIT_MS }).toBe(121);
  // A slow machine is told 202, and has its models later.
  const { status } = await gateway.ask("POST", "/api/model-training/", { sensor_id: 7, model_type: "all" });
  expect([200, 202]).toContain(status);
  const inForce = () =>
    plant.rows("select 1 from model_promotions where model_type = 'anomaly' and valid_from < clock_timestamp()");
  await expect.poll(async () => (await inForce()).length, { timeout: WAIT_MS }).toBe(1);
  await plant.publish(sensor, { value: 20, timestamp: now });
  return { plant, services };
}

afterAll(() => stack.disposeAsync());

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const metricsPortOf = ({ output }: RunningService): string => /"metricsPort":(\d+)/.exec(output())![1]!;

async function scrape(service: RunningService): Promise<{ text: string; samples: Sample[] }> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPortOf(service)}/metrics`)).text();
  const samples = text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, name, labels = "", value] = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)/i.exec(line)!;
      return {
        name: name!,
        labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key!, text!])),
        value: Number(value),
      };
    });
  return { text, samples };
}

async function sum(name: string, labels: Record<string, string> = {}): Promise<number> {
  const { services } = await plantAtWork();
  const all = await Promise.all(services.map(scrape));
  return all
    .flatMap(({ samples }) => samples)
    .filter((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value))
    .reduce((total, { value }) => total + value, 0);
}

it("counts every reading that was published as kept, repeated or dead-lettered, by reason", async () => {
  await plantAtWork();
  const figures = async () => ({
    published: await sum("calibration_readings_received_total"),
    kept: await sum("calibration_readings_kept_total"),
    repeated: await sum("calibration_readings_repeated_total"),
    unknownSensor: await sum("calibration_readings_dead_lettered_total", { reason: "unknown_sensor" }),
    invalidJson: await sum("calibration_readings_dead_lettered_total", { reason: "invalid_json" }),
    dead: await sum("calibration_readings_dead_lettered_total", { service: "ingest" }),
  });
  await expect
    .poll(figures, { timeout: WAIT_MS })
    .toEqual({ published: 126, kept: 122, repeated: 1, unknownSensor: 2, invalidJson: 1, dead: 3 });
});

it("counts what the services made of them", async () => {
  await plantAtWork();
  const figures = async () => ({
    // The first ten of a sensor are too few for any judgement.
    unjudged: await sum("calibration_judgements_total", { method: "none" }),
    byThreshold: await sum("calibration_judgements_total", { method: "threshold" }),
    byForest: await sum("calibration_judgements_total", { method: "isolation_forest" }),
    withoutModel: await sum("calibration_fallbacks_total", { service: "anomaly", reason: "model_missing" }),
    corrected: await sum("calibration_corrections_total", { method: "identity" }),
    uncorrected: await sum("calibration_fallbacks_total", { service: "calibration", reason: "model_missing" }),
    opened: (await sum("calibration_anomaly_events_total", { event: "opened" })) > 0,
    trained: await sum("calibration_training_runs_total", { model_type: "anomaly", outcome: "trained" }),
    short: await sum("calibration_training_runs_total", { model_type: "calibration", outcome: "insufficient_data" }),
    timed: await sum("calibration_training_duration_seconds_count", { model_type: "anomaly" }),
    missed: await sum("calibration_model_cache_lookups_total", { service: "anomaly", result: "miss" }),
    answered: await sum("calibration_http_requests_total", { route: "/api/model-training" }),
    ready: await sum("calibration_ready"),
  });
  await expect.poll(figures, { timeout: WAIT_MS }).toEqual({
    unjudged: 10,
    byThreshold: 111,
    byForest: 1,
    withoutModel: 111,
    corrected: 123,
    uncorrected: 123,
    opened: true,
    trained: 1,
    short: 1,
    timed: 1,
    missed: 1,
    answered: 1,
    ready: 6,
  });
});

it("tells each service's lag by partition, and that it is small once all is kept", async () => {
  const { services } = await plantAtWork();
  const lags = async () =>
    (await Promise.all(services.slice(0, 4).map(scrape))).map(({ samples }) => {
      const waiting = samples.filter(({ name }) => name === "calibration_partition_lag_messages");
      const seconds = samples.filter(({ name }) => name === "calibration_partition_lag_seconds");
      return {
        waiting: waiting.reduce((total, { value }) => total + value, 0),
        partitions: seconds
          .map(({ labels }) => Number(labels["partition"]))
          .toSorted((a, b) => a - b)
          .join(" "),
      };
    });
  await expect
    .poll(lags, { timeout: WAIT_MS })
    .toEqual(Array.from({ length: 4 }, () => ({ waiting: 0, partitions: "0 1" })));
});

it("has every metric, and every label, that the alerts and the dashboard use", async () => {
  const { services } = await plantAtWork();
  // What is looked at every some seconds is there after the first look.
  await expect.poll(() => sum("calibration_database_bytes"), { timeout: WAIT_MS }).toBeGreaterThan(0);
  const scraped = await Promise.all(services.map(scrape));
  const names = new Set<string>();
  for (const { text } of scraped) {
    for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
      if (type === "histogram") for (const part of ["bucket", "sum", "count"]) names.add(`${name}_${part}`);
      else names.add(name!);
    }
  }
  // What Prometheus itself adds.
  const labels = new Set(["job", "instance"]);
  for (const { samples } of scraped)
    for (const sample of samples) Object.keys(sample.labels).forEach((key) => labels.add(key));

  for (const file of ["alerts.yml", "grafana/dashboards/calibration.json"]) {
    const text = readFileSync(new URL(file, OBSERVABILITY), "utf8").replaceAll('\\"', '"');
    const used = [...text.matchAll(/\b(?:calibration|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => name);
    expect(used.length).toBeGreaterThan(10);
    expect({ file, missing: used.filter((name) => !names.has(name)) }).toEqual({ file, missing: [] });
    const usedLabels = [...text.matchAll(/\b(?:by|ignoring) \(([^)]+)\)|[{,] ?(\w+)=~?"/g)].flatMap(([, list, one]) =>
      list === undefined ? [one!] : list.split(", "),
    );
    expect(usedLabels.length).toBeGreaterThan(10);
    expect({ file, missing: usedLabels.filter((label) => !labels.has(label)) }).toEqual({ file, missing: [] });
  }
});

it("is shown by every panel, and watched by every alert, as Prometheus reads them", async (context) => {
  context.skip(!hasPrometheus(), "no prometheus on the PATH");
  const { services } = await plantAtWork();
  await using prometheus = await openPrometheus(
    Object.fromEntries(services.map((service) => [service.name, `127.0.0.1:${metricsPortOf(service)}`])),
  );
  const dashboard = JSON.parse(readFileSync(new URL("grafana/dashboards/calibration.json", OBSERVABILITY), "utf8")) as {
    panels: { title: string; targets?: { expr: string }[] }[];
  };
  const asked = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
  expect(asked.length).toBeGreaterThan(30);
  const unanswered = async (): Promise<typeof asked> => {
    const answers = await Promise.all(
      asked.map(async ({ expr }) => {
        // What leaves out the lines at zero has nothing to show while all is well.
        const expression = expr.replaceAll("$__rate_interval", "1m").replace(/ > 0$/, "");
        return prometheus.ask(expression).catch(() => []);
      }),
    );
    return asked.filter((_, n) => answers[n]!.length === 0);
  };
  await expect.poll(unanswered, { timeout: WAIT_MS, interval: 1_000 }).toEqual([]);
  expect((await prometheus.ask('sum(up{job="calibration"})')).map(({ value }) => value[1])).toEqual(["6"]);
  const unwell = async () => (await prometheus.rules()).filter(({ health }) => health !== "ok");
  await expect.poll(unwell, { timeout: WAIT_MS, interval: 1_000 }).toEqual([]);
  expect((await prometheus.rules()).length).toBeGreaterThan(10);
});

it("takes a publisher's trace along into events, corrected values and logs", async () => {
  const { plant, services } = await plantAtWork();
  const traceOf = async (stream: string, subject: string) => {
    const said = await plant.bus.manager.streams.getMessage(stream, { last_by_subj: subject });
    return said?.header.get(TRACEPARENT_HEADER) ?? null;
  };
  await expect
    .poll(
      async () => {
        const found = new Set<string>();
        const messages = await (
          await plant.bus.jetstream.consumers.get("EVENTS", { filter_subjects: "events.anomaly.main.7" })
        ).fetch({ max_messages: 100, expires: 1_000 });
        for await (const message of messages)
          found.add(`${message.json<{ value: number }>().value} ${message.headers?.get(TRACEPARENT_HEADER)}`);
        return [...found];
      },
      { timeout: WAIT_MS },
    )
    .toContain(`90 ${TRACEPARENT}`);
  await plant.gateway.jetstream.publish("readings.main.7", JSON.stringify({ value: 21 }), {
    timeout: WAIT_MS,
    ...traceHeaders(TRACEPARENT),
  });
  await expect.poll(() => traceOf("CORRECTED", "corrected.main.7"), { timeout: WAIT_MS }).toBe(TRACEPARENT);
  for (const service of services.slice(0, 4))
    await expect.poll(service.output, { timeout: WAIT_MS }).toContain(`"traceparents":["${TRACEPARENT}"]`);
});

it("logs JSON, and nothing of a single reading at info", async () => {
  const { services } = await plantAtWork();
  const aboutReadings = ["batch kept", "answered"];
  for (const service of services) {
    const lines = service
      .output()
      .split("\n")
      // The last line may not be whole yet; a warning of Node itself is not ours to form.
      .slice(0, -1)
      .filter((line) => !line.startsWith("("))
      .map((line) => JSON.parse(line) as { level: number; time: string; service: string; message: string });
    for (const { time, service: name } of lines)
      expect({ time: Date.parse(time) > 0, name }).toEqual({ time: true, name: service.name });
    const levels = lines.filter(({ message }) => aboutReadings.includes(message)).map(({ level }) => level);
    expect(levels.filter((level) => level > 20)).toEqual([]);
    const values = lines.filter((line) => line.level > 20 && ("value" in line || "timestampMs" in line));
    expect(values).toEqual([]);
  }
});
