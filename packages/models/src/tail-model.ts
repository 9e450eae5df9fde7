/**
 * How improbable is a value among the last few thousand of its kind? Peaks over threshold: the largest 2 % on either side are
 * modelled by a generalised Pareto distribution, fitted by probability-weighted moments (Hosking and Wallis, Technometrics 1987), so
 * that a value beyond all that was seen still has a probability. Streaming, without look-ahead, and of constant size.
 */

/** The window is a ring of blocks; a whole block is forgotten at once. */
const BLOCKS = 16;
const BLOCK_READINGS = 256;
export const WINDOW_READINGS = BLOCKS * BLOCK_READINGS;
/** Of a block, this many on each side are kept: enough for the largest 2 % even if one block holds most of them. */
const KEPT_OF_BLOCK = 48;
const TAIL_SHARE = 0.02;
/** No probability is given before so many readings. */
export const TAIL_FROM = 100;
const EXCEEDANCES_MIN = 10;
const REFIT_AFTER_MIN = 24;
const LOG10_E = Math.LOG10E;

/** One side: the largest values of each block, and the distribution fitted to them. */
export interface Tail {
  /** Block by block, each descending. */
  readonly largest: Float32Array;
  readonly held: Uint8Array;
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
    largest: new Float32Array(BLOCKS * KEPT_OF_BLOCK),
    held: new Uint8Array(BLOCKS),
    from: 0,
    scale: 1,
    shape: 0,
    logShare: 0,
  };
}

/** −log10 of the probability of a value at least as extreme on its side; 0 inside the central 96 %, and until {@link TAIL_FROM} values. */
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
    model.high.held[model.block] = 0;
    model.low.held[model.block] = 0;
  }
  model.count++;
  model.inBlock++;
  keep(model.high, model.block, value);
  keep(model.low, model.block, -value);
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

/** Insertion into the block's descending list. */
function keep({ largest, held }: Tail, block: number, value: number): void {
  const x = Math.fround(value);
  const from = block * KEPT_OF_BLOCK;
  let at = from + held[block]!;
  if (at === from + KEPT_OF_BLOCK) {
    at--;
    if (!(x > largest[at]!)) return;
  } else held[block]!++;
  while (at > from && largest[at - 1]! < x) {
    largest[at] = largest[at - 1]!;
    at--;
  }
  largest[at] = x;
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

/** Puts the largest values of all blocks into `exceedances`, descending; answers how many there are. */
function mergeLargest({ largest, held }: Tail, wanted: number): number {
  next.fill(0);
  let found = 0;
  while (found < wanted) {
    let best = -1;
    let most = -Infinity;
    for (let block = 0; block < BLOCKS; block++) {
      if (next[block]! >= held[block]!) continue;
      const x = largest[block * KEPT_OF_BLOCK + next[block]!]!;
      if (x > most) {
        most = x;
        best = block;
      }
    }
    if (best < 0) break;
    next[best]!++;
    exceedances[found++] = most;
  }
  return found;
}
