/**
 * An artifact is what training publishes and inference loads: an immutable envelope around a model's own bytes.
 * The envelope makes damage and age visible before a single byte of the model is believed.
 *
 * Layout (little endian, 16 bytes, then the payload):
 * ```
 *  0  4  magic "CALM"
 *  4  1  format version of the envelope, 1
 *  5  1  kind: 1 anomaly, 2 drift, 3 calibration
 *  6  2  reserved, 0
 *  8  4  payload length in bytes
 * 12  4  CRC-32 of bytes 4 to 11 and the payload
 * ```
 */

export type ModelType = "anomaly" | "drift" | "calibration";

/** What is wrong with an artifact: `model_damaged` asks for a backup, `model_incompatible` for another version of the code or a new training. */
export type ArtifactProblem = "model_damaged" | "model_incompatible";

/** An artifact that must not be used. Inference answers with its fallback instead. */
export class ArtifactError extends Error {
  override readonly name = "ArtifactError";
  readonly code: ArtifactProblem;

  constructor(code: ArtifactProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export const ARTIFACT_HEADER_BYTES = 16;
/** Counted up whenever a payload changes too: which models are due for it is seen by this byte alone. */
export const ARTIFACT_FORMAT_VERSION = 1;
/** No model here needs more than a few megabytes; a larger length is damage, and must not make us allocate. */
export const ARTIFACT_BYTES_MAX = 64 * 1024 * 1024;

const MAGIC = 0x4d4c4143; // "CALM" read as a little-endian number
const KIND_CODES: Readonly<Record<ModelType, number>> = { anomaly: 1, drift: 2, calibration: 3 };

/**
 * Puts the envelope around a model's payload. Same payload, same bytes.
 *
 * @example encodeArtifact("drift", new Uint8Array([1, 2, 3])).length // 19
 */
export function encodeArtifact(kind: ModelType, payload: Uint8Array): Uint8Array {
  if (payload.length > ARTIFACT_BYTES_MAX) {
    throw new RangeError(
      `a model of ${payload.length} bytes is larger than an artifact may be (${ARTIFACT_BYTES_MAX})`,
    );
  }
  const bytes = new Uint8Array(ARTIFACT_HEADER_BYTES + payload.length);
  const header = new DataView(bytes.buffer);
  header.setUint32(0, MAGIC, true);
  header.setUint8(4, ARTIFACT_FORMAT_VERSION);
  header.setUint8(5, KIND_CODES[kind]);
  header.setUint32(8, payload.length, true);
  bytes.set(payload, ARTIFACT_HEADER_BYTES);
  header.setUint32(12, checksum(bytes), true);
  return bytes;
}

/**
 * Takes the envelope off again: the payload, a view on the same memory.
 * Throws {@link ArtifactError}: `model_incompatible` for a format version this code does not know, `model_damaged` for everything else.
 */
export function decodeArtifact(kind: ModelType, bytes: Uint8Array): Uint8Array {
  const damaged = (what: string): ArtifactError =>
    new ArtifactError("model_damaged", `the ${kind} artifact is damaged: ${what}`);
  if (bytes.length < ARTIFACT_HEADER_BYTES)
    throw damaged(`it has ${bytes.length} bytes, and the header alone has ${ARTIFACT_HEADER_BYTES}`);
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (header.getUint32(0, true) !== MAGIC) throw damaged("it does not begin as an artifact does");
  const version = header.getUint8(4);
  if (version !== ARTIFACT_FORMAT_VERSION) {
    throw new ArtifactError(
      "model_incompatible",
      `the ${kind} artifact has format ${version}, and this code reads format ${ARTIFACT_FORMAT_VERSION}`,
    );
  }
  if (header.getUint8(5) !== KIND_CODES[kind])
    throw damaged(`it is a model of another kind (code ${header.getUint8(5)})`);
  const length = header.getUint32(8, true);
  if (length !== bytes.length - ARTIFACT_HEADER_BYTES) {
    throw damaged(`it announces ${length} bytes and carries ${bytes.length - ARTIFACT_HEADER_BYTES}`);
  }
  if (header.getUint32(12, true) !== checksum(bytes)) throw damaged("its checksum does not match");
  return bytes.subarray(ARTIFACT_HEADER_BYTES);
}

/** CRC-32 (IEEE 802.3) over everything behind the magic but the checksum itself, so that a flipped kind or length is noticed too. */
function checksum(bytes: Uint8Array): number {
  return crc32(bytes.subarray(ARTIFACT_HEADER_BYTES), crc32(bytes.subarray(4, 12)));
}

/**
 * CRC-32 (IEEE 802.3, the one of zip and PNG) of bytes, continuing from an earlier one.
 *
 * @example crc32(new TextEncoder().encode("123456789")).toString(16) // "cbf43926", the published check value
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  let rest = ~before;
  for (const byte of bytes) rest = (rest >>> 8) ^ CRC_TABLE[(rest ^ byte) & 0xff]!;
  return ~rest >>> 0;
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});
