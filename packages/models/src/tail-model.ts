/**
 * How improbable is a value among the last few thousand of its kind? Peaks over threshold: the largest 3 % on either side are
 * modelled by a generalised Pareto distribution, fitted by probability-weighted moments (Hosking and Wallis, Technometrics 1987), so
 * that a value beyond all that was seen still has a probability. Streaming, without look-ahead, and of constant size.
 */

/** The window is a ring of blocks; a whole block is forgotten at once. */
const BLOCKS = 16;
const BLOCK_READINGS = 256;
export const WINDOW_READINGS = BLOCKS * BLOCK_READINGS;
/** Of a block, this many on each side are kept: enough for the largest 3 % unless two blocks hold them all. */
const KEPT_OF_BLOCK = 48;
/** Of 2, 3, 4 and 5 % this is the steadiest: the fewest false alarms at equal detections, and the least hangs on θ. */
const TAIL_SHARE = 0.03;
/** What can no longer matter is left out each time so many blocks were filled: oftener costs more time than it saves room. */
const BLOCKS_TO_PRUNE = 4;
/** A fit looks at the largest 3 % of the window, and one more. */
const LOOKED_AT_MAX = Math.floor(TAIL_SHARE * WINDOW_READINGS) + 1;
/** No probability is given before so many readings. */
export const TAIL_FROM = 100;
const EXCEEDANCES_MIN = 10;
const REFIT_AFTER_MIN = 24;
const LOG10_E = Math.LOG10E;

/** One side: the largest values of each block, and the distribution fitted to them. */
export interface Tail {
  /**
   * The block that is being filled, {@link KEPT_OF_BLOCK} places; then those that are full, the oldest first. Each descends.
   * Of a full block, only what a fit may yet look at (see {@link countNeeded}).
   */
  largest: Float32Array;
  /** How many values each block has there, in the same order. */
  held: Uint8Array;
  /** Where the tail begins. */
  from: number;
  /** Scale and shape of the generalised Pareto distribution beyond it. */
  scale: number;
  shape: number;
  /** log10 of the probability of being beyond it. */
  logShare: number;
}

export interface TailModel {
  readonly high: Tail;
  readonly low: Tail;
  count: number;
  block: number;
  inBlock: number;
  sinceFit: number;
  fitted: boolean;
  mean: number;
  /** Mean absolute deviation, the scale that every floor below is relative to. */
  deviation: number;
}

export function createTailModel(): TailModel {
  return {
    high: createTail(),
    low: createTail(),
    count: 0,
    block: 0,
    inBlock: 0,
    sinceFit: 0,
    fitted: false,
    mean: 0,
    deviation: 0,
  };
}

function createTail(): Tail {
  return {
    largest: new Float32Array(KEPT_OF_BLOCK),
    held: new Uint8Array(1),
    from: 0,
    scale: 1,
    shape: 0,
    logShare: 0,
  };
}

/** −log10 of the probability of a value at least as extreme on its side; 0 inside the central 94 %, and until {@link TAIL_FROM} values. */
export function surprise(model: TailModel, value: number): number {
  if (!model.fitted) return 0;
  const x = Math.fround(value);
  if (x > model.high.from) return surpriseIn(model.high, x);
  if (-x > model.low.from) return surpriseIn(model.low, -x);
  return 0;
}

function surpriseIn(tail: Tail, x: number): number {
  const excess = (x - tail.from) / tail.scale;
  const beyond = tail.shape > 0 ? Math.log1p(tail.shape * excess) / tail.shape : excess;
  return beyond * LOG10_E - tail.logShare;
}

/** Takes a value in, after it was judged. */
export function pushTail(model: TailModel, value: number): void {
  const share = 1 / Math.min(model.count + 1, WINDOW_READINGS);
  if (model.count === 0) model.mean = value;
  else {
    const distance = Math.abs(value - model.mean);
    model.mean += (value - model.mean) * share;
    model.deviation += (distance - model.deviation) * share;
  }
  if (model.inBlock === BLOCK_READINGS) {
    model.inBlock = 0;
    model.block = (model.block + 1) % BLOCKS;
    const prunes = model.block % BLOCKS_TO_PRUNE === 0;
    closeBlock(model.high, prunes);
    closeBlock(model.low, prunes);
  }
  model.count++;
  model.inBlock++;
  keep(model.high, value);
  keep(model.low, -value);
  model.sinceFit++;
  const inWindow = Math.min(model.count, WINDOW_READINGS);
  if (model.count >= TAIL_FROM && (!model.fitted || model.sinceFit >= Math.max(REFIT_AFTER_MIN, inWindow >>> 6))) {
    const effective = model.count < WINDOW_READINGS ? model.count : WINDOW_READINGS - BLOCK_READINGS + model.inBlock;
    fitTail(model.high, effective, model.deviation);
    fitTail(model.low, effective, model.deviation);
    model.fitted = true;
    model.sinceFit = 0;
  }
}

/** Insertion into the descending list of the block that is being filled. */
function keep({ largest, held }: Tail, value: number): void {
  const x = Math.fround(value);
  let at = held[0]!;
  if (at === KEPT_OF_BLOCK) {
    at--;
    if (!(x > largest[at]!)) return;
  } else held[0]!++;
  while (at > 0 && largest[at - 1]! < x) {
    largest[at] = largest[at - 1]!;
    at--;
  }
  largest[at] = x;
}

let younger = new Float32Array(LOOKED_AT_MAX);
let merged = new Float32Array(LOOKED_AT_MAX);
const counts = new Uint8Array(BLOCKS);

/** The block that was filled becomes the youngest of the full ones, and the oldest is forgotten when there are too many. */
function closeBlock(tail: Tail, prunes: boolean): void {
  const { largest, held } = tail;
  const first = held.length === BLOCKS ? 1 : 0;
  const full = held.length - first;
  for (let block = 0; block < full - 1; block++) counts[block] = held[block + first + 1]!;
  counts[full - 1] = held[0]!;
  if (prunes) countNeeded(tail, first, full);
  let size = KEPT_OF_BLOCK;
  for (let block = 0; block < full; block++) size += counts[block]!;
  const next = new Float32Array(size);
  const nextHeld = new Uint8Array(full + 1);
  let from = KEPT_OF_BLOCK + (first === 1 ? held[1]! : 0);
  for (let block = 0, to = KEPT_OF_BLOCK; block < full; block++) {
    const isYoungest = block === full - 1;
    const begin = isYoungest ? 0 : from;
    for (let i = 0; i < counts[block]!; i++) next[to++] = largest[begin + i]!;
    if (!isYoungest) from += held[block + first + 1]!;
    nextHeld[block + 1] = counts[block]!;
  }
  tail.largest = next;
  tail.held = nextHeld;
}

/**
 * How many of each block's values a fit may yet look at. One that as many others reach as a fit looks at, all of its own
 * block or of younger ones, will never be looked at again: they leave the window no sooner than it does. Leaving it out
 * changes no fit, and holds half of the memory.
 */
function countNeeded({ largest, held }: Tail, first: number, full: number): void {
  let younglings = 0;
  let end = largest.length;
  for (let block = full - 1; block >= 0; block--) {
    const isYoungest = block === full - 1;
    const from = isYoungest ? 0 : (end -= held[block + first + 1]!);
    let count = 0;
    let larger = 0;
    for (; count < counts[block]!; count++) {
      const x = largest[from + count]!;
      while (larger < younglings && younger[larger]! >= x) larger++;
      if (larger + count >= LOOKED_AT_MAX) break;
    }
    counts[block] = count;
    const most = Math.min(LOOKED_AT_MAX, younglings + count);
    for (let at = 0, a = 0, b = 0; at < most; at++) {
      const takeOwn = b < count && (a >= younglings || largest[from + b]! > younger[a]!);
      merged[at] = takeOwn ? largest[from + b++]! : younger[a++]!;
    }
    [younger, merged] = [merged, younger];
    younglings = most;
  }
}

const exceedances = new Float64Array(Math.ceil(TAIL_SHARE * WINDOW_READINGS) + EXCEEDANCES_MIN + 1);
const next = new Int32Array(BLOCKS);

function fitTail(tail: Tail, effective: number, deviation: number): void {
  const wanted = Math.max(EXCEEDANCES_MIN, Math.floor(TAIL_SHARE * effective));
  const found = mergeLargest(tail, wanted + 1);
  const from = exceedances[found - 1]!;
  let beyond = found - 1;
  while (beyond > 0 && exceedances[beyond - 1]! <= from) beyond--;
  tail.from = from;
  if (beyond < 3) {
    tail.logShare = Math.log10(Math.max(beyond, 1) / effective);
    tail.scale = Math.max(deviation * 0.1, 1e-12);
    tail.shape = 0;
    return;
  }
  let mean = 0;
  let weighted = 0;
  for (let i = 0; i < beyond; i++) {
    const excess = exceedances[i]! - from;
    mean += excess;
    weighted += i * excess;
  }
  mean /= beyond;
  weighted /= beyond * (beyond - 1);
  let shape = 2 - mean / (mean - 2 * weighted);
  // Lighter than exponential promises too much; heavier than ½ has no variance to estimate it by.
  if (!(shape > 0)) shape = 0;
  else if (shape > 0.5) shape = 0.5;
  tail.logShare = Math.log10(beyond / effective);
  tail.scale = Math.max(mean * (1 - shape), deviation * 0.02, 1e-12);
  // A predictive correction: few exceedances leave the shape uncertain.
  tail.shape = shape + 1 / beyond;
}

const starts = new Int32Array(BLOCKS);
/** The largest of each block that is not taken yet. */
const heads = new Float64Array(BLOCKS);

/** Puts the largest values of all blocks into `exceedances`, descending; answers how many there are. */
function mergeLargest({ largest, held }: Tail, wanted: number): number {
  const blocks = held.length;
  for (let block = 0, start = 0; block < blocks; block++) {
    starts[block] = start;
    next[block] = start;
    heads[block] = held[block]! > 0 ? largest[start]! : -Infinity;
    start += block === 0 ? KEPT_OF_BLOCK : held[block]!;
  }
  let found = 0;
  while (found < wanted) {
    let best = 0;
    for (let block = 1; block < blocks; block++) if (heads[block]! > heads[best]!) best = block;
    const most = heads[best]!;
    if (most === -Infinity) break;
    exceedances[found++] = most;
    const at = ++next[best]!;
    heads[best] = at < starts[best]! + held[best]! ? largest[at]! : -Infinity;
  }
  return found;
}
