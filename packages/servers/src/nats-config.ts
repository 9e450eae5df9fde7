/**
 * Who may do what on NATS. The services live in the account PLATFORM, which has JetStream; each may say what it says,
 * read what it reads, and make no stream. Plant gateways live in an account of their own that knows nothing of it: they
 * reach READINGS through a service import, so their publishes are acknowledged, but a crafted reply subject leads nowhere
 * and no JetStream API answers them.
 */
import { streams, subjects } from "@calibration/shared/topology.ts";

export const SERVICE_USERS = ["ingest", "anomaly", "drift", "calibration", "trainer", "gateway"] as const;
export const USERS = [...SERVICE_USERS, "admin", "reader", "plant"] as const;
export type ServiceUser = (typeof SERVICE_USERS)[number];
export type NatsUsers = Record<(typeof USERS)[number], string>;

/** A plant gateway that may publish for one site only. */
export interface PlantUser {
  user: string;
  password: string;
  site: string;
}

/** A server's certificate and its key, as files. */
export interface ServerTls {
  certificate: string;
  key: string;
}

/** Beyond this the server drops the connection; a payload between 1 MiB and here is told off with a dead letter. */
const MAX_PAYLOAD = "8MB";

const quote = (text: string): string => JSON.stringify(text);

export function natsConfig(options: {
  /** Loopback unless a container's network stands before it. */
  host?: string;
  port: number;
  monitorPort: number;
  /** By which whoever started it knows it again. */
  serverName?: string;
  storeDirectory: string;
  users: NatsUsers;
  plants?: readonly PlantUser[];
  /** Files in PEM; with them nobody is let in without TLS. */
  tls?: ServerTls;
  /** Flushes each message to the disk before it is acknowledged: what survives a power cut, and what it costs, is in SECURITY.md. */
  syncAlways?: boolean;
}): string {
  const { users, plants = [], host = "127.0.0.1", serverName } = options;
  const services = SERVICE_USERS.map((user) => {
    const { publish, subscribe } = RIGHTS[user];
    return platformUser(user, users[user], publish, [ownInbox(user), ...subscribe]);
  });
  return `${serverName === undefined ? "" : `server_name: ${quote(serverName)}`}
listen: "${host}:${options.port}"
http: "${host}:${options.monitorPort}"
max_payload: ${MAX_PAYLOAD}
write_deadline: "10s"
${options.tls === undefined ? "" : `tls { cert_file: ${quote(options.tls.certificate)}, key_file: ${quote(options.tls.key)} }`}
jetstream { store_dir: ${quote(options.storeDirectory)}${options.syncAlways === true ? ", sync_interval: always" : ""} }
accounts {
  PLATFORM {
    jetstream: enabled
    exports: [ { service: "readings.*.*", response_type: singleton } ]
    users: [
      ${services.join("\n      ")}
      ${platformUser("admin", users.admin, [">"], [">"])}
      ${platformUser("reader", users.reader, readerMayPublish(), [ownInbox("reader"), DEFAULT_INBOX])}
    ]
  }
  PLANT {
    imports: [ { service: { account: PLATFORM, subject: "readings.*.*" } } ]
    users: [
      ${plantUser("plant", users.plant, "*", [DEFAULT_INBOX])}
      ${plants.map(({ user, password, site }) => plantUser(user, password, site)).join("\n      ")}
    ]
  }
}
`;
}

const ownInbox = (user: string): string => `_INBOX_${user}.>`;

/**
 * Where a client that was told of no prefix awaits its answers. Those who may not see each other's are told of one: the
 * services, and the gateways that are fenced to a site.
 */
const DEFAULT_INBOX = "_INBOX.>";

/** To know a stream's state. */
const look = (stream: string): string => `$JS.API.STREAM.INFO.${stream}`;

/** To read a stream by consumers of one's own, acknowledging nothing. */
const read = (stream: string): string[] => [
  look(stream),
  `$JS.API.CONSUMER.CREATE.${stream}`,
  `$JS.API.CONSUMER.CREATE.${stream}.>`,
  `$JS.API.CONSUMER.INFO.${stream}.>`,
  `$JS.API.CONSUMER.DELETE.${stream}.>`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.>`,
];

const { readings, corrected, events, deadLetters, training } = streams;
const TRAINERS = "trainers";

/** A service that hears the log: it reads READINGS, says that it is there, what it found out, and what made it fail. */
const hears = (service: string, says: readonly string[]) => ({
  publish: [
    ...Object.values(streams).map(({ name }) => look(name)),
    ...read(readings.name),
    subjects.presence(service),
    subjects.deadLetter("*", "*"),
    subjects.deadUnparsable,
    ...says,
  ],
  subscribe: [subjects.presence(service)],
});

/** What each service may publish and subscribe to beside its inbox: the least its work takes. */
const RIGHTS: Record<ServiceUser, { publish: readonly string[]; subscribe: readonly string[] }> = {
  ingest: hears("ingest", ["ticks.*"]),
  anomaly: hears("anomaly", [subjects.anomalyEvent("*", "*")]),
  drift: hears("drift", [subjects.driftEvent("*", "*")]),
  calibration: hears("calibration", [subjects.corrected("*", "*")]),
  trainer: {
    publish: [
      ...Object.values(streams).map(({ name }) => look(name)),
      subjects.presence("trainer"),
      "training.*.*",
      "events.model.*.*",
      `$JS.API.CONSUMER.CREATE.${training.name}.${TRAINERS}`,
      `$JS.API.CONSUMER.DURABLE.CREATE.${training.name}.${TRAINERS}`,
      `$JS.API.CONSUMER.INFO.${training.name}.${TRAINERS}`,
      `$JS.API.CONSUMER.MSG.NEXT.${training.name}.${TRAINERS}`,
      `$JS.ACK.${training.name}.${TRAINERS}.>`,
    ],
    subscribe: [subjects.presence("trainer")],
  },
  gateway: {
    publish: [
      ...Object.values(streams).map(({ name }) => look(name)),
      ...read(events.name),
      // How far the services are behind is that of each partition's newest message.
      `$JS.API.STREAM.MSG.GET.${readings.name}`,
      `$JS.API.CONSUMER.LIST.${training.name}`,
      subjects.presence("gateway"),
      subjects.reading("*", "*"),
      "resolutions.*.*",
      "training.*.*",
      "events.model.*.*",
      subjects.sensorEvent("*", "*"),
    ],
    subscribe: [subjects.corrected("*", "*"), subjects.presence("*")],
  },
};

function platformUser(
  user: string,
  password: string,
  publish: readonly string[],
  subscribe: readonly string[],
): string {
  return `{ user: ${quote(user)}, password: ${quote(password)}, permissions: { publish: { allow: ${JSON.stringify(publish)} }, subscribe: { allow: ${JSON.stringify(subscribe)} } } }`;
}

function plantUser(user: string, password: string, site: string, alsoHears: readonly string[] = []): string {
  return platformUser(user, password, [subjects.reading(site, "*")], [ownInbox(user), ...alsoHears]);
}

/** What consuming the results takes, stream by stream, and nothing that would change them. */
function readerMayPublish(): string[] {
  return (
    [corrected.name, events.name, deadLetters.name]
      .flatMap((name) => [
        ...read(name),
        // As clients from before nats-server 2.9 make one that lasts.
        `$JS.API.CONSUMER.DURABLE.CREATE.${name}.*`,
        `$JS.API.STREAM.MSG.GET.${name}`,
        `$JS.API.DIRECT.GET.${name}`,
        `$JS.API.DIRECT.GET.${name}.>`,
        `$JS.ACK.${name}.>`,
        `$JS.FC.${name}.>`,
      ])
      // Clients that are given a subject ask first which stream has it.
      .concat("$JS.API.INFO", "$JS.API.STREAM.NAMES")
  );
}
