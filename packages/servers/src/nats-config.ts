/**
 * Who may do what on NATS. The services live in the account PLATFORM, which has JetStream. Plant gateways live in an
 * account of their own that knows nothing of it: they reach READINGS through a service import, so their publishes are
 * acknowledged, but a crafted reply subject leads nowhere and no JetStream API answers them.
 */
import { streams, subjects } from "@calibration/shared/topology.ts";

export const SERVICE_USERS = ["ingest", "anomaly", "drift", "calibration", "trainer", "gateway"] as const;
export const USERS = [...SERVICE_USERS, "admin", "reader", "plant"] as const;
export type NatsUsers = Record<(typeof USERS)[number], string>;

/** A plant gateway that may publish for one site only. */
export interface PlantUser {
  user: string;
  password: string;
  site: string;
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
}): string {
  const { users, plants = [], host = "127.0.0.1", serverName } = options;
  const services = SERVICE_USERS.map((user) => platformUser(user, users[user], [">"], ownInbox(user)));
  return `${serverName === undefined ? "" : `server_name: ${quote(serverName)}`}
listen: "${host}:${options.port}"
http: "${host}:${options.monitorPort}"
max_payload: ${MAX_PAYLOAD}
write_deadline: "10s"
jetstream { store_dir: ${quote(options.storeDirectory)} }
accounts {
  PLATFORM {
    jetstream: enabled
    exports: [ { service: "readings.*.*", response_type: singleton } ]
    users: [
      ${services.join("\n      ")}
      ${platformUser("admin", users.admin, [">"], ownInbox("admin"))}
      ${platformUser("reader", users.reader, readerMayPublish(), ["_INBOX_reader.>"])}
    ]
  }
  PLANT {
    imports: [ { service: { account: PLATFORM, subject: "readings.*.*" } } ]
    users: [
      ${plantUser("plant", users.plant, "*")}
      ${plants.map(({ user, password, site }) => plantUser(user, password, site)).join("\n      ")}
    ]
  }
}
`;
}

const ownInbox = (user: string): string[] => [`_INBOX_${user}.>`, ">"];

function platformUser(
  user: string,
  password: string,
  publish: readonly string[],
  subscribe: readonly string[],
): string {
  return `{ user: ${quote(user)}, password: ${quote(password)}, permissions: { publish: { allow: ${JSON.stringify(publish)} }, subscribe: { allow: ${JSON.stringify(subscribe)} } } }`;
}

function plantUser(user: string, password: string, site: string): string {
  return platformUser(user, password, [subjects.reading(site, "*")], [`_INBOX_${user}.>`]);
}

/** What consuming the results takes, stream by stream, and nothing that would change them. */
function readerMayPublish(): string[] {
  return [streams.corrected.name, streams.events.name, streams.deadLetters.name]
    .flatMap((name) => [
      `$JS.API.STREAM.INFO.${name}`,
      `$JS.API.CONSUMER.CREATE.${name}`,
      `$JS.API.CONSUMER.CREATE.${name}.>`,
      `$JS.API.CONSUMER.INFO.${name}.>`,
      `$JS.API.CONSUMER.DELETE.${name}.>`,
      `$JS.API.CONSUMER.MSG.NEXT.${name}.>`,
      `$JS.API.STREAM.MSG.GET.${name}`,
      `$JS.API.DIRECT.GET.${name}`,
      `$JS.API.DIRECT.GET.${name}.>`,
      `$JS.ACK.${name}.>`,
      `$JS.FC.${name}.>`,
    ])
    .concat("$JS.API.INFO");
}
