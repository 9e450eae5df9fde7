/**
 * Every stream, subject and event of the platform, on one page. Nobody else spells a subject.
 *
 *   readings.<site>.<key>     a plant gateway says what a sensor measured; stored as readings.<partition>.<site>.<key>
 *   ticks.<partition>         the instant passed, also where nothing was measured: absence is judged on these
 *   resolutions.<partition>.<anomaly id>   a person closed an episode
 *   corrected.… events.… dead.…            what the services found out
 *   training.<type>.<sensor id>            a model to be trained, shared out among the trainers
 */

/** A site or a key: what may stand between the dots of a subject. */
export const TOKEN_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

export const PARTITIONS_DEFAULT = 16;

/** A payload beyond this is refused with a dead letter; the server's own limit is higher, so that it can be told off. */
export const PAYLOAD_BYTES_MAX = 1024 * 1024;
export const READINGS_PER_MESSAGE_MAX = 10_000;

const DAY_MS = 86_400_000;

export const streams = {
  readings: {
    name: "READINGS",
    subjects: ["readings.*.*", "ticks.*", "resolutions.*.*"],
    maxAgeMs: 7 * DAY_MS,
    maxBytesDefault: 8 * 1024 ** 3,
    /** A full stream refuses, so that the plant keeps what was not taken. */
    discard: "new",
    retention: "limits",
  },
  corrected: {
    name: "CORRECTED",
    subjects: ["corrected.*.*"],
    maxAgeMs: 2 * DAY_MS,
    maxBytesDefault: 2 * 1024 ** 3,
    discard: "old",
    retention: "limits",
  },
  events: {
    name: "EVENTS",
    subjects: ["events.>"],
    maxAgeMs: 7 * DAY_MS,
    maxBytesDefault: 1024 ** 3,
    discard: "old",
    retention: "limits",
  },
  deadLetters: {
    name: "DEAD_LETTERS",
    subjects: ["dead.>"],
    maxAgeMs: 7 * DAY_MS,
    maxBytesDefault: 1024 ** 3,
    discard: "old",
    retention: "limits",
  },
  training: {
    name: "TRAINING",
    subjects: ["training.*.*"],
    maxAgeMs: 7 * DAY_MS,
    maxBytesDefault: 256 * 1024 ** 2,
    discard: "new",
    retention: "workqueue",
  },
} as const;

export type StreamKey = keyof typeof streams;

export const subjects = {
  reading: (site: string, key: string) => `readings.${site}.${key}`,
  tick: (partition: number) => `ticks.${partition}`,
  resolution: (partition: number, anomalyId: number) => `resolutions.${partition}.${anomalyId}`,
  corrected: (site: string, key: string) => `corrected.${site}.${key}`,
  anomalyEvent: (site: string, key: string) => `events.anomaly.${site}.${key}`,
  driftEvent: (site: string, key: string) => `events.drift.${site}.${key}`,
  modelEvent: (type: string, sensorId: number) => `events.model.${type}.${sensorId}`,
  sensorEvent: (site: string, key: string) => `events.sensor.${site}.${key}`,
  deadLetter: (site: string, key: string) => `dead.${site}.${key}`,
  deadUnparsable: "dead.unparsable",
  training: (type: string, sensorId: number) => `training.${type}.${sensorId}`,
  presence: (service: string) => `presence.${service}`,
};

/** As what a reading was published that READINGS files under `readings.<partition>.<site>.<key>`; other subjects are their own. */
export function publishedSubject(filed: string): string {
  const [first, , ...name] = filed.split(".");
  return first === "readings" ? ["readings", ...name].join(".") : filed;
}

/** Under what READINGS files a sensor's readings. */
export const filedSubject = (partition: number, site: string, key: string): string =>
  `readings.${partition}.${site}.${key}`;

/** What READINGS stores of one partition: the readings as the server filed them, the ticks and the resolutions. */
export const partitionSubjects = (partition: number): string[] => [
  `readings.${partition}.>`,
  subjects.tick(partition),
  `resolutions.${partition}.*`,
];

/** READINGS files each message under its partition on arrival; publishers know nothing of it. */
export const readingsTransform = (partitions: number) => ({
  src: "readings.*.*",
  dest: `readings.{{partition(${partitions},1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}`,
});

/**
 * The partition the server files a sensor's readings under: FNV-1a (32 bits) of the two tokens, as nats-server computes
 * `partition(n,1,2)`. A journey holds the two equal.
 */
export function partitionOf(site: string, key: string, partitions: number): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(site + key, "utf8")) {
    hash ^= byte;
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return hash % partitions;
}

interface Conversation {
  subject: string;
  /** Where it is kept; null: only whoever listens at that moment hears it. */
  stream: StreamKey | null;
  says: readonly string[];
  hears: readonly string[];
  meaning: string;
}

const HEARERS = ["ingest", "anomaly", "drift", "calibration"] as const;

/** Who says what to whom. `docs/TOPOLOGY.md` is drawn from it. */
export const conversations: readonly Conversation[] = [
  {
    subject: subjects.reading("<site>", "<key>"),
    stream: "readings",
    says: ["plant gateways", "gateway"],
    hears: HEARERS,
    meaning: "what a sensor measured: one reading, or an array of them",
  },
  {
    subject: "ticks.<partition>",
    stream: "readings",
    says: ["ingest"],
    hears: HEARERS,
    meaning: "the instant passed, also where nothing was measured: absence is judged on these",
  },
  {
    subject: "resolutions.<partition>.<anomaly id>",
    stream: "readings",
    says: ["gateway"],
    hears: ["anomaly"],
    meaning: "a person closed an episode",
  },
  {
    subject: subjects.corrected("<site>", "<key>"),
    stream: "corrected",
    says: ["calibration"],
    hears: ["whoever is interested", "gateway"],
    meaning: "what a reading should have been, in the form it came in",
  },
  {
    subject: subjects.anomalyEvent("<site>", "<key>"),
    stream: "events",
    says: ["anomaly"],
    hears: ["gateway", "whoever is interested"],
    meaning: "an episode was opened, updated or resolved",
  },
  {
    subject: subjects.driftEvent("<site>", "<key>"),
    stream: "events",
    says: ["drift"],
    hears: ["gateway", "whoever is interested"],
    meaning: "a level of drift was crossed",
  },
  {
    subject: "events.model.<type>.<sensor id>",
    stream: "events",
    says: ["trainer", "gateway"],
    hears: ["gateway", "whoever is interested"],
    meaning: "a model was trained, promoted or rolled back",
  },
  {
    subject: subjects.sensorEvent("<site>", "<key>"),
    stream: "events",
    says: ["gateway"],
    hears: ["gateway", "whoever is interested"],
    meaning: "a sensor was created, changed or deleted, or its status changed",
  },
  {
    subject: subjects.deadLetter("<site>", "<key>"),
    stream: "deadLetters",
    says: HEARERS,
    hears: ["whoever is interested"],
    meaning: "what could not be used, and why; from ingest, and from whichever service had to give a message up",
  },
  {
    subject: subjects.deadUnparsable,
    stream: "deadLetters",
    says: HEARERS,
    hears: ["whoever is interested"],
    meaning: "the same, where site and key are no names",
  },
  {
    subject: "training.<type>.<sensor id>",
    stream: "training",
    says: ["gateway", "trainer"],
    hears: ["trainer"],
    meaning: "a model to be trained, shared out among the trainers",
  },
  {
    subject: subjects.presence("<service>"),
    stream: null,
    says: HEARERS,
    hears: [...HEARERS, "gateway"],
    meaning: "a replica is there, and takes its share of the partitions",
  },
];
