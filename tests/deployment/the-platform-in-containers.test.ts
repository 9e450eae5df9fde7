/**
 * docker compose up ─▶ secrets ─▶ nats, postgres ─▶ init ─▶ six services, healthy
 * and then what an operator does to them: publish, sign in, train, scale, lose a container, re-create, down, up.
 *
 * The steps follow each other on one stack. Every reading is published with an acknowledgement, so every one is owed.
 */
import { openBus, type Bus } from "@calibration/shared/bus.ts";
import { subjects } from "@calibration/shared/topology.ts";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createStack, noStack, type Stack } from "../support/compose.ts";
import { WAIT_MS } from "../support/plant.ts";

const SERVICES = ["ingest", "anomaly", "drift", "calibration", "trainer", "gateway"];
const SENSORS = Array.from({ length: 32 }, (_, n) => 101 + n);
const SITE = "main";
/** Between two rounds, a reading of every sensor, while the stack is disturbed. */
const ROUND_MS = 250;
const ROUNDS_BEFORE = 200;
const FAULTY = { sensor: 101, value: 95 };
/** An engine that is busy starting containers answers late; nothing here measures speed. */
const STEP_MS = 20 * 60_000;
const MINUTE_MS = 60_000;
/** A reading a minute by the plant's clock: long enough ago for more of them than any run comes to. */
const FIRST_MS = Date.now() - 7 * 86_400_000;

interface Inspected {
  Config: { User: string };
  State: { Health?: { Status: string } };
  RestartCount: number;
  Mounts: { Name?: string }[];
  HostConfig: {
    ReadonlyRootfs: boolean;
    CapDrop: string[];
    SecurityOpt: string[];
    Memory: number;
    PidsLimit: number;
    RestartPolicy: { Name: string };
    PortBindings: Record<string, { HostIp: string }[]> | null;
  };
}

const trouble = noStack();
if (trouble !== null) console.log(`skipped: ${trouble}`);
if (trouble !== null && process.env["REQUIRE"]?.split(",").includes("docker") === true)
  throw new Error(`REQUIRE=docker, and ${trouble}`);

describe("the platform in containers", { timeout: STEP_MS }, () => {
  let stack: Stack;
  let secrets: Record<string, string>;
  let address = "http://127.0.0.1:0";
  /** How many readings each sensor is owed. */
  let published = 0;

  beforeEach((context) => context.skip(trouble !== null, trouble ?? ""));

  beforeAll(async () => {
    if (trouble !== null) return;
    stack = await createStack();
    await stack.compose("down", "--volumes", "--remove-orphans", "--timeout", "5");
  }, STEP_MS);

  afterAll(async () => {
    if (trouble !== null) return;
    await stack.compose("down", "--volumes", "--remove-orphans", "--timeout", "5");
  }, STEP_MS);

  it("comes up healthy, with no step before it", async () => {
    await timed("build", () => stack.compose("--progress", "plain", "build", "gateway"));
    await timed("up until healthy", () => stack.compose("up", "--detach", "--wait"));
    const health = await Promise.all([...SERVICES, "nats", "postgres"].map(healthOf));
    expect(health.flat()).toEqual(Array.from({ length: SERVICES.length + 2 }, () => "healthy"));
    secrets = JSON.parse(
      await stack.compose("exec", "-T", "gateway", "cat", "/secrets/secrets.json"),
    ) as typeof secrets;
    expect(new Set(Object.values(secrets)).size).toBe(Object.keys(secrets).length);
  });

  it("gives its containers no more than they need", async () => {
    for (const service of [...SERVICES, "nats", "postgres"]) {
      const [id = ""] = await stack.containers(service);
      const { Config: config, HostConfig: host } = await inspect(id);
      const addresses = Object.values(host.PortBindings ?? {}).flatMap((all) => all.map(({ HostIp: ip }) => ip));
      expect({
        service,
        // PostgreSQL's entry point leaves root by itself.
        isRoot: service !== "postgres" && !/^(node|1000:1000)$/.test(config.User),
        canWrite: !host.ReadonlyRootfs,
        drops: host.CapDrop,
        mayGain: !host.SecurityOpt.join().includes("no-new-privileges"),
        isBounded: host.Memory > 0 && host.PidsLimit > 0,
        restarts: host.RestartPolicy.Name,
        reachableFrom: addresses.filter((address) => address !== "127.0.0.1"),
      }).toEqual({
        service,
        isRoot: false,
        canWrite: false,
        drops: ["ALL"],
        mayGain: false,
        isBounded: true,
        restarts: "unless-stopped",
        reachableFrom: [],
      });
    }
    await expect(stack.compose("exec", "-T", "ingest", "touch", "/app/written")).rejects.toThrow("Read-only");
  });

  it("tells each container its own secrets and no others, and signs each in as itself", async () => {
    for (const service of SERVICES) {
      const known = JSON.parse(await stack.compose("exec", "-T", service, "cat", "/secrets/secrets.json")) as object;
      const own = [`nats_${service}`, `postgres_${service}`];
      const forPeople = ["nats_plant", "nats_reader", "admin", "operator", "viewer", "plant"];
      expect({ service, knows: Object.keys(known).toSorted() }).toEqual({
        service,
        knows: [...own, ...(service === "gateway" ? forPeople : [])].toSorted(),
      });
    }
    for (const service of [...SERVICES, "nats", "postgres"]) {
      const [id = ""] = await stack.containers(service);
      const volumes = (await inspect(id)).Mounts.flatMap(({ Name: name }) => name ?? []);
      expect(
        volumes.filter((name) => /_secrets(-|$)/.test(name)).map((name) => name.replace(/^.*_secrets/, "")),
      ).toEqual([`-${service}`]);
    }
    await expect(stack.compose("run", "--rm", "-T", "trainer", "tokens", "list")).rejects.toThrow(
      "does not know the secret admin",
    );
    const asked =
      "select distinct usename from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
    const users = await stack.compose(
      "exec",
      "-T",
      "postgres",
      "psql",
      "-U",
      "postgres",
      "-d",
      "calibration",
      "-tAc",
      asked,
    );
    expect(users.trim().split("\n").toSorted()).toEqual(SERVICES.toSorted());
  });

  it("keeps, judges and corrects what is published from outside", async () => {
    for (const id of SENSORS) await ask("POST", "/api/sensors/", { id, name: `Sensor ${id}`, type: "Temperature" });
    await using bus = await plant();
    await publishRounds(bus, ROUNDS_BEFORE);
    await publishRounds(bus, 1, FAULTY);
    expect(await losses()).toEqual([]);
    const { results: anomalies } = await ask("GET", `/api/anomalies/?sensor_id=${FAULTY.sensor}`);
    expect(anomalies.map(({ value }: { value: number }) => value)).toContain(FAULTY.value);
  });

  it("prints a link that signs a browser in once", async () => {
    const printed = (await stack.compose("exec", "-T", "gateway", "sign-in")).trim();
    const code = new URL(printed).searchParams.get("code");
    const signIn = async (): Promise<number> =>
      (
        await fetch(`${await stack.gateway()}/api/session/`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ code }),
        })
      ).status;
    expect(await signIn()).toBe(200);
    expect(await signIn()).toBe(401);
    const page = await fetch(`${await stack.gateway()}/`);
    expect(await page.text()).toContain("<script");
  });

  it("trains from the command line", async () => {
    const printed = await stack.compose("run", "--rm", "-T", "trainer", "train-models", "--all-sensors");
    expect(printed.split("\n").filter((line) => line.includes("trained")).length).toBeGreaterThanOrEqual(
      SENSORS.length,
    );
    const { count } = await ask("GET", "/api/model-training/?current=true&model_type=anomaly");
    expect(count).toBe(SENSORS.length);
    expect(await stack.compose("run", "--rm", "-T", "trainer", "auto-train-models", "--run-once")).toContain("due");
  });

  it("is scaled, loses containers and has them re-created while readings come, and loses none", async () => {
    await using bus = await plant();
    const before = published;
    const publishing = publishUntilStopped(bus);
    await timed("scale anomaly=4 ingest=2", () =>
      stack.compose("up", "--detach", "--wait", "--no-recreate", "--scale", "anomaly=4", "--scale", "ingest=2"),
    );
    expect(await healthOf("anomaly")).toEqual(Array.from({ length: 4 }, () => "healthy"));
    await expect.poll(() => shares("anomaly"), { timeout: WAIT_MS, interval: 1000 }).toEqual([4, 4, 4, 4]);
    await expect.poll(() => shares("ingest"), { timeout: WAIT_MS, interval: 1000 }).toEqual([8, 8]);

    const [lost = ""] = await stack.containers("ingest");
    await stack.docker("kill", "--signal", "KILL", lost);
    await expect.poll(() => shares("ingest"), { timeout: WAIT_MS, interval: 1000 }).toEqual([16]);
    // Its process dies, as of a crash: the engine starts it again.
    const [crashing = ""] = await stack.containers("anomaly");
    await stack.docker("exec", crashing, "bash", "-c", "kill -9 -1");
    await expect.poll(async () => (await inspect(crashing)).RestartCount, { timeout: WAIT_MS }).toBe(1);
    await expect.poll(() => shares("anomaly"), { timeout: WAIT_MS, interval: 1000 }).toEqual([4, 4, 4, 4]);

    for (const service of ["drift", "calibration", "gateway"])
      await timed(`re-create ${service}`, () =>
        stack.compose("up", "--detach", "--wait", "--no-deps", "--force-recreate", service),
      );
    await timed("scale back", () =>
      stack.compose("up", "--detach", "--wait", "--scale", "ingest=2", "--scale", "anomaly=2"),
    );
    await expect.poll(() => shares("anomaly"), { timeout: WAIT_MS, interval: 1000 }).toEqual([8, 8]);
    await publishing.stop();
    expect(published).toBeGreaterThan(before);
    expect(await losses()).toEqual([]);
  });

  it("keeps its data through down and up", async () => {
    await timed("down", () => stack.compose("down"));
    await timed("up until healthy again", () => stack.compose("up", "--detach", "--wait"));
    expect(await losses()).toEqual([]);
    await using bus = await plant();
    await publishRounds(bus, 1);
    expect(await losses()).toEqual([]);
  });

  const plant = (): Promise<Bus> =>
    openBus({ natsUrl: stack.natsUrl, natsUser: "plant", natsPassword: secrets["nats_plant"]!, name: "test plant" });

  /** Asks until there is an answer: a gateway that is re-created is away for a moment, and then at another port. */
  // What came back is what the test is about.
  // oxlint-disable-next-line typescript/no-explicit-any
  async function ask(method: string, path: string, body?: unknown): Promise<any> {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const response = await fetch(address + path, {
        method,
        headers: { authorization: `Bearer ${secrets["admin"]!}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }).catch(() => null);
      if (response?.ok === true) return response.json();
      if (response !== null && response.status !== 503)
        throw new Error(`${method} ${path} is answered with ${response.status}: ${await response.text()}`);
      if (Date.now() > deadline) throw new Error(`${method} ${path} is not answered`);
      await pause(500);
      address = await stack.gateway().catch(() => address);
    }
  }

  async function publishRounds(bus: Bus, rounds: number, faulty?: { sensor: number; value: number }): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const timestamp = new Date(FIRST_MS + published * MINUTE_MS).toISOString();
      const valueOf = (id: number): number =>
        id === faulty?.sensor ? faulty.value : 20 + Math.sin(published / 10 + id);
      await Promise.all(
        SENSORS.map((id) =>
          bus.jetstream.publish(subjects.reading(SITE, String(id)), JSON.stringify({ value: valueOf(id), timestamp }), {
            timeout: WAIT_MS,
          }),
        ),
      );
      published++;
    }
  }

  function publishUntilStopped(bus: Bus): { stop(): Promise<void> } {
    let stopping = false;
    const done = (async () => {
      while (!stopping) {
        await publishRounds(bus, 1);
        await pause(ROUND_MS);
      }
    })();
    // Its failure is for whoever waits for it, not for the process.
    done.catch(() => undefined);
    return {
      async stop() {
        stopping = true;
        await done;
      },
    };
  }

  /**
   * Where the gateway, once nobody is behind or after a long wait, tells of another series than was published: every
   * sensor is owed every reading, once, in order and corrected.
   */
  async function losses(): Promise<string[]> {
    const owed = Array.from({ length: published }, (_, n) => new Date(FIRST_MS + n * MINUTE_MS).toISOString());
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const { readings, lag } = await ask("GET", "/api/ml-analytics/");
      const behind = Object.values(lag as Record<string, number>).some((messages) => messages > 0);
      if ((readings.total === owed.length * SENSORS.length && !behind) || Date.now() > deadline) break;
      await pause(1000);
    }
    const found = [];
    for (const id of SENSORS) {
      const readings = await allOf(`/api/readings/?sensor_id=${id}&order=asc&limit=1000`);
      const told = readings.map(({ timestamp }) => timestamp);
      if (JSON.stringify(told) !== JSON.stringify(owed)) found.push(`sensor ${id}: ${told.length} of ${owed.length}`);
      // Without a calibration what is corrected is what was read.
      const uncorrected = readings.filter((one) => one.corrected_value !== one.raw_value).length;
      if (uncorrected > 0) found.push(`sensor ${id}: ${uncorrected} not corrected`);
    }
    return found;
  }

  async function allOf(
    path: string,
  ): Promise<{ timestamp: string; raw_value: number; corrected_value: number | null }[]> {
    const found = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const page = await ask("GET", `${path}${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`);
      found.push(...page.results);
      cursor = page.next;
    }
    return found;
  }

  async function inspect(id: string): Promise<Inspected> {
    return (JSON.parse(await stack.docker("inspect", id)) as [Inspected])[0];
  }

  async function healthOf(service: string): Promise<(string | undefined)[]> {
    const ids = await stack.containers(service);
    return Promise.all(ids.map(async (id) => (await inspect(id)).State.Health?.Status));
  }

  /** How many partitions each replica owns, by its own metrics; those of one that is just being started are none. */
  async function shares(service: string): Promise<number[]> {
    const question = "exec 3<>/dev/tcp/127.0.0.1/9100; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    const ids = await stack.containers(service);
    const answers = ids.map((id) => stack.docker("exec", id, "bash", "-c", question).catch(() => ""));
    return (await Promise.all(answers)).map(
      (text) => text.match(/^calibration_partition_lag_seconds\{/gm)?.length ?? 0,
    );
  }
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** How long a step took stands in the output: what an operator will want to know, and nothing that is asserted. */
async function timed<T>(step: string, work: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await work();
  console.log(`${step}: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  return result;
}
