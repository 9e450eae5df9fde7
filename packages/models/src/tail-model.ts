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
/** A fit looks at the largest 3 % of the window, and one more. */
const LOOKED_AT_MAX = Math.floor(TAIL_SHARE * WINDOW_READINGS) + 1;
/** No probability is given before so many readings. */
export const TAIL_FROM = 100;
const EXCEEDANCES_MIN = 10;
const REFIT_AFTER_MIN = 24;
const LOG10_E = Math.LOG10E;

/** One side: the distribution fitted to its largest values. */
export interface Tail {
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
  /**
   * One array for both sides, since a small one's own objects are as large as what it holds. Of each side the number of
   * values that each block has, {@link BLOCKS} places; of each side the block that is being filled, {@link KEPT_OF_BLOCK}
   * places; then the high side's full blocks, the oldest first, and the low side's. A block descends. Of a full one there
   * is only what a fit may yet look at (see {@link countNeeded}).
   */
  kept: Float32Array;
  /** The one that is being filled, and those that are full. */
  blocks: number;
  count: number;
  block: number;
  inBlock: number;
  sinceFit: number;
  fitted: boolean;
  mean: number;
  /** Mean absolute deviation, the scale that every floor below is relative to. */
  deviation: number;
}

type Side = 0 | 1;
const HIGH: Side = 0;
const LOW: Side = 1;
/** Where in the array a side's counts begin, its open block, and the full blocks of both. */
const countsOf = (side: Side): number => side * BLOCKS;
const openOf = (side: Side): number => 2 * BLOCKS + side * KEPT_OF_BLOCK;
const FULL = 2 * BLOCKS + 2 * KEPT_OF_BLOCK;

export function createTailModel(): TailModel {
  return {
    high: createTail(),
    low: createTail(),
    kept: new Float32Array(FULL),
    blocks: 1,
    count: 0,
    block: 0,
    inBlock: 0,
    sinceFit: 0,
    fitted: false,
    mean: 0,
    deviation: 0,
  };
}

const createTail = (): Tail => ({ from: 0, scale: 1, shape: 0, logShare: 0 });

/** The values of a side: how many each block has, the one that is being filled first, then all of them in the same order. */
export function keptOf({ kept, blocks }: TailModel, side: "high" | "low"): { held: Uint8Array; largest: Float32Array } {
  const which = side === "high" ? HIGH : LOW;
  const held = Uint8Array.from(kept.subarray(countsOf(which), countsOf(which) + blocks));
  const from = fullFrom(kept, blocks, which);
  const largest = new Float32Array(KEPT_OF_BLOCK + fullSize(kept, blocks, which));
  largest.set(kept.subarray(openOf(which), openOf(which) + KEPT_OF_BLOCK));
  largest.set(kept.subarray(from, from + largest.length - KEPT_OF_BLOCK), KEPT_OF_BLOCK);
  return { held, largest };
}

/** So many values are as {@link keptOf} gives them of such counts. */
export const keptLength = (held: Uint8Array): number =>
  held.subarray(1).reduce((sum, count) => sum + count, KEPT_OF_BLOCK);

/** Takes both sides as {@link keptOf} gave them. */
export function restoreKept(model: TailModel, high: ReturnType<typeof keptOf>, low: ReturnType<typeof keptOf>): void {
  if (high.held.length !== low.held.length || high.held.length < 1 || high.held.length > BLOCKS)
    throw new RangeError(`a tail of ${high.held.length} and ${low.held.length} blocks`);
  const ofHigh = high.largest.length - KEPT_OF_BLOCK;
  const kept = new Float32Array(FULL + ofHigh + low.largest.length - KEPT_OF_BLOCK);
  for (const [side, { held, largest }] of [
    [HIGH, high],
    [LOW, low],
  ] as const) {
    kept.set(held, countsOf(side));
    kept.set(largest.subarray(0, KEPT_OF_BLOCK), openOf(side));
    kept.set(largest.subarray(KEPT_OF_BLOCK), side === HIGH ? FULL : FULL + ofHigh);
  }
  model.kept = kept;
  model.blocks = high.held.length;
}

function fullSize(kept: Float32Array, blocks: number, side: Side): number {
  let size = 0;
  for (let block = 1; block < blocks; block++) size += kept[countsOf(side) + block]!;
  return size;
}

const fullFrom = (kept: Float32Array, blocks: number, side: Side): number =>
  side === HIGH ? FULL : FULL + fullSize(kept, blocks, HIGH);

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
    closeBlock(model);
  }
  model.count++;
  model.inBlock++;
  keep(model.kept, HIGH, value);
  keep(model.kept, LOW, -value);
  model.sinceFit++;
  const inWindow = Math.min(model.count, WINDOW_READINGS);
  if (model.count >= TAIL_FROM && (!model.fitted || model.sinceFit >= Math.max(REFIT_AFTER_MIN, inWindow >>> 6))) {
    const effective = model.count < WINDOW_READINGS ? model.count : WINDOW_READINGS - BLOCK_READINGS + model.inBlock;
    fitTail(model, HIGH, effective);
    fitTail(model, LOW, effective);
    model.fitted = true;
    model.sinceFit = 0;
  }
}

/** Insertion into the descending list of the block that is being filled. */
function keep(kept: Float32Array, side: Side, value: number): void {
  const x = Math.fround(value);
  const open = openOf(side);
  const counts = countsOf(side);
  const held = kept[counts]!;
  let at = open + held;
  if (held === KEPT_OF_BLOCK) {
    at--;
    if (!(x > kept[at]!)) return;
  } else kept[counts] = held + 1;
  while (at > open && kept[at - 1]! < x) {
    kept[at] = kept[at - 1]!;
    at--;
  }
  kept[at] = x;
}

let younger = new Float32Array(LOOKED_AT_MAX);
let merged = new Float32Array(LOOKED_AT_MAX);
/** Of each side, what is needed of each full block once the open one is the youngest of them. */
const needed = [new Uint8Array(BLOCKS), new Uint8Array(BLOCKS)] as const;

/** The block that was filled becomes the youngest of the full ones, and the oldest is forgotten when there are too many. */
function closeBlock(model: TailModel): void {
  const { kept, blocks } = model;
  const first = blocks === BLOCKS ? 1 : 0;
  const full = blocks - first;
  let size = FULL;
  for (const side of [HIGH, LOW] as const) {
    countNeeded(kept, blocks, side);
    for (let block = 0; block < full; block++) size += needed[side][block]!;
  }
  const next = new Float32Array(size);
  let to = FULL;
  for (const side of [HIGH, LOW] as const) {
    const counts = countsOf(side);
    let from = fullFrom(kept, blocks, side) + (first === 1 ? kept[counts + 1]! : 0);
    for (let block = 0; block < full; block++) {
      const isYoungest = block === full - 1;
      const begin = isYoungest ? openOf(side) : from;
      const count = needed[side][block]!;
      for (let i = 0; i < count; i++) next[to++] = kept[begin + i]!;
      if (!isYoungest) from += kept[counts + block + first + 1]!;
      next[counts + block + 1] = count;
    }
  }
  model.kept = next;
  model.blocks = full + 1;
}

/**
 * How many of each block's values a fit may yet look at, into {@link needed}. One that as many others reach as a fit looks at,
 * all of its own block or of younger ones, will never be looked at again: they leave the window no sooner than it does.
 * Leaving it out changes no fit, and holds half of the memory.
 */
function countNeeded(kept: Float32Array, blocks: number, side: Side): void {
  const first = blocks === BLOCKS ? 1 : 0;
  const full = blocks - first;
  const counts = countsOf(side);
  let younglings = 0;
  let end = fullFrom(kept, blocks, side) + fullSize(kept, blocks, side);
  for (let block = full - 1; block >= 0; block--) {
    const isYoungest = block === full - 1;
    const held = isYoungest ? kept[counts]! : kept[counts + block + first + 1]!;
    const from = isYoungest ? openOf(side) : (end -= held);
    let count = 0;
    let larger = 0;
    for (; count < held; count++) {
      const x = kept[from + count]!;
      while (larger < younglings && younger[larger]! >= x) larger++;
      if (larger + count >= LOOKED_AT_MAX) break;
    }
    needed[side][block] = count;
    const most = Math.min(LOOKED_AT_MAX, younglings + count);
    for (let at = 0, a = 0, b = 0; at < most; at++) {
      const takeOwn = b < count && (a >= younglings || kept[from + b]! > younger[a]!);
      merged[at] = takeOwn ? kept[from + b++]! : younger[a++]!;
    }
    [younger, merged] = [merged, younger];
    younglings = most;
  }
}

const exceedances = new Float64Array(Math.ceil(TAIL_SHARE * WINDOW_READINGS) + EXCEEDANCES_MIN + 1);
const next = new Int32Array(BLOCKS);

function fitTail(model: TailModel, side: Side, effective: number): void {
  const tail = side === HIGH ? model.high : model.low;
  const { deviation } = model;
  const wanted = Math.max(EXCEEDANCES_MIN, Math.floor(TAIL_SHARE * effective));
  const found = mergeLargest(model, side, wanted + 1);
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

const ends = new Int32Array(BLOCKS);
/** The largest of each block that is not taken yet. */
const heads = new Float64Array(BLOCKS);

/** Puts the largest values of all blocks into `exceedances`, descending; answers how many there are. */
function mergeLargest({ kept, blocks }: TailModel, side: Side, wanted: number): number {
  const counts = countsOf(side);
  for (let block = 0, start = fullFrom(kept, blocks, side); block < blocks; block++) {
    const held = kept[counts + block]!;
    const begin = block === 0 ? openOf(side) : start;
    next[block] = begin;
    ends[block] = begin + held;
    heads[block] = held > 0 ? kept[begin]! : -Infinity;
    if (block > 0) start += held;
  }
  let found = 0;
  while (found < wanted) {
    let best = 0;
    for (let block = 1; block < blocks; block++) if (heads[block]! > heads[best]!) best = block;
    const most = heads[best]!;
    if (most === -Infinity) break;
    exceedances[found++] = most;
    const at = ++next[best]!;
    heads[best] = at < ends[best]! ? kept[at]! : -Infinity;
  }
  return found;
}
