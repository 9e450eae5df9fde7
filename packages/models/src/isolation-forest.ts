/**
 * Isolation forest (Liu, Ting and Zhou, ICDM 2008) over `[value, hour_of_day, day_of_week]`, with the scores of
 * scikit-learn's `IsolationForest`: `score` is its `-score_samples`, 0 to 1, higher is stranger.
 *
 * At a fixed hour and weekday every tree is a step function of the value alone. The forest of one such hour, a *slot*, is
 * therefore a sorted list of breakpoints with one precomputed score between each two: exact, and 50 times as fast as walking trees.
 */
import { createRandom } from "./random.ts";
import { quantile } from "./statistics.ts";

export const FEATURES = ["value", "hour_of_day", "day_of_week"] as const;

export interface IsolationForestSettings {
  /** How many trees. */
  readonly trees: number;
  /** Readings that one tree sees; at most as many as there are. */
  readonly subsample: number;
  /** The share of the training readings that lies above the threshold, 0 to 0.5. */
  readonly contamination: number;
  readonly seed: number;
}

export const ISOLATION_FOREST_DEFAULTS: IsolationForestSettings = {
  trees: 100,
  subsample: 256,
  contamination: 0.1,
  seed: 42,
};
/** The artifact counts a tree's readings in 16 bits. */
export const SUBSAMPLE_MAX = 65_535;
export const TREES_MAX = 1000;

/** A fitted forest. Nodes of all trees lie one behind another; a node's right child follows its left one. */
export interface IsolationForest {
  readonly settings: IsolationForestSettings;
  /** Readings one tree saw: min(settings.subsample, n). */
  readonly subsample: number;
  /** An anomaly is a score above it. */
  readonly threshold: number;
  /** First node of each tree. */
  readonly roots: Int32Array;
  /** The feature a node splits on, or {@link LEAF}. */
  readonly feature: Uint8Array;
  /** Go left where x ≤ it; of a leaf, its path length: depth + c(size). */
  readonly split: Float32Array;
  readonly left: Int32Array;
  /** Readings in a node. */
  readonly size: Uint16Array;
  /** One per hour of the week, compiled when first asked. */
  readonly slots: (Slot | undefined)[];
}

const LEAF = 255;
const COLUMNS = FEATURES.length;
const EULER_GAMMA = 0.5772156649015329;
/** Deeper than any tree: its height is at most log2 of the subsample. */
const STACK_DEPTH_MAX = 64;

/**
 * Mean length of an unsuccessful search among n keys in a binary search tree, c(n) of the paper.
 *
 * @example averagePathLength(256) // 10.244…
 */
export function averagePathLength(n: number): number {
  if (n <= 1) return 0;
  if (n === 2) return 1;
  return 2 * (Math.log(n - 1) + EULER_GAMMA) - (2 * (n - 1)) / n;
}

/**
 * Fits a forest. Same rows and settings, same forest, to the byte.
 *
 * @param rows n × 3, row by row: value, hour 0–23, weekday Monday 0–6; all finite
 * @param settings what differs from {@link ISOLATION_FOREST_DEFAULTS}
 * @example
 * const forest = fitIsolationForest(rows, { seed: 42 });
 * scoreReading(forest, 21.4, 9, 0) > forest.threshold // is 21.4 strange at nine on a Monday?
 */
export function fitIsolationForest(
  rows: Float64Array,
  settings: Partial<IsolationForestSettings> = {},
): IsolationForest {
  const chosen = { ...ISOLATION_FOREST_DEFAULTS, ...settings };
  const count = rows.length / COLUMNS;
  if (!Number.isInteger(count) || count < 2)
    throw new RangeError(`a forest needs at least 2 rows of ${COLUMNS} columns, and got ${rows.length} numbers`);
  requireSettings(chosen);
  for (const x of rows) if (!Number.isFinite(x)) throw new RangeError("a forest is fitted on finite numbers only");
  const subsample = Math.min(chosen.subsample, count);
  const grown = growTrees(rows, count, subsample, chosen);
  const forest: IsolationForest = { settings: chosen, subsample, threshold: 0.5, slots: [], ...grown };
  return { ...forest, threshold: quantile(scoreRows(forest, rows), 1 - chosen.contamination) };
}

function requireSettings({ trees, subsample, contamination }: IsolationForestSettings): void {
  if (!Number.isInteger(trees) || trees < 1 || trees > TREES_MAX)
    throw new RangeError(`trees are 1 to ${TREES_MAX}, and not ${trees}`);
  if (!Number.isInteger(subsample) || subsample < 2 || subsample > SUBSAMPLE_MAX)
    throw new RangeError(`a subsample is 2 to ${SUBSAMPLE_MAX}, and not ${subsample}`);
  if (!(contamination > 0 && contamination <= 0.5))
    throw new RangeError(`contamination is above 0 and at most 0.5, and not ${contamination}`);
}

type Nodes = Pick<IsolationForest, "roots" | "feature" | "split" | "left" | "size">;

function growTrees(
  rows: Float64Array,
  count: number,
  subsample: number,
  { trees, seed }: IsolationForestSettings,
): Nodes {
  const depthMax = Math.ceil(Math.log2(Math.max(subsample, 2)));
  const nodesMax = trees * (2 * subsample - 1);
  const feature = new Uint8Array(nodesMax);
  const split = new Float32Array(nodesMax);
  const left = new Int32Array(nodesMax);
  const size = new Uint16Array(nodesMax);
  const roots = new Int32Array(trees);
  const leafPath = pathLengths(subsample);
  const order = Int32Array.from({ length: count }, (_, i) => i);
  const swappedWith = new Int32Array(subsample);
  // One tree's readings, column by column: splitting one reads one column.
  const sample = new Float64Array(subsample * COLUMNS);
  const members = new Int32Array(subsample);
  const stackFrom = new Int32Array(STACK_DEPTH_MAX);
  const stackTo = new Int32Array(STACK_DEPTH_MAX);
  const stackNode = new Int32Array(STACK_DEPTH_MAX);
  const stackDepth = new Int32Array(STACK_DEPTH_MAX);
  const candidates = new Uint8Array(COLUMNS);
  let nodes = 0;

  for (let tree = 0; tree < trees; tree++) {
    // A tree depends on seed and number only, whatever was grown before it.
    const random = createRandom(seed, tree);
    for (let i = 0; i < subsample; i++) {
      const j = i + random.integer(count - i);
      swappedWith[i] = j;
      const row = order[j]!;
      order[j] = order[i]!;
      order[i] = row;
      for (let column = 0; column < COLUMNS; column++) sample[column * subsample + i] = rows[row * COLUMNS + column]!;
      members[i] = i;
    }
    for (let i = subsample - 1; i >= 0; i--) {
      const j = swappedWith[i]!;
      const row = order[j]!;
      order[j] = order[i]!;
      order[i] = row;
    }
    roots[tree] = nodes;
    stackFrom[0] = 0;
    stackTo[0] = subsample;
    stackNode[0] = nodes++;
    stackDepth[0] = 0;
    let open = 1;
    while (open > 0) {
      open--;
      const from = stackFrom[open]!;
      const to = stackTo[open]!;
      const node = stackNode[open]!;
      const depth = stackDepth[open]!;
      const held = to - from;
      size[node] = held;
      let column = -1;
      let least = 0;
      let most = 0;
      if (held > 1 && depth < depthMax) {
        let untried = COLUMNS;
        for (let i = 0; i < COLUMNS; i++) candidates[i] = i;
        // Among the features that are not constant here.
        while (untried > 0) {
          const pick = untried > 1 ? random.integer(untried) : 0;
          const base = candidates[pick]! * subsample;
          least = most = sample[base + members[from]!]!;
          for (let i = from + 1; i < to; i++) {
            const x = sample[base + members[i]!]!;
            if (x < least) least = x;
            else if (x > most) most = x;
          }
          if (most > least) {
            column = candidates[pick]!;
            break;
          }
          candidates[pick] = candidates[--untried]!;
        }
      }
      let at = 0;
      if (column >= 0) {
        at = Math.fround(least + random.float() * (most - least));
        if (!(at < most)) at = Math.fround(least);
        // Two values that 32 bits cannot tell apart are not split.
        if (at >= most || at < least) column = -1;
      }
      if (column < 0) {
        feature[node] = LEAF;
        split[node] = depth + leafPath[held]!;
        continue;
      }
      const base = column * subsample;
      let low = from;
      let high = to - 1;
      while (low <= high) {
        const member = members[low]!;
        if (sample[base + member]! <= at) low++;
        else {
          members[low] = members[high]!;
          members[high--] = member;
        }
      }
      feature[node] = column;
      split[node] = at;
      left[node] = nodes;
      stackFrom[open] = low;
      stackTo[open] = to;
      stackNode[open] = nodes + 1;
      stackDepth[open++] = depth + 1;
      stackFrom[open] = from;
      stackTo[open] = low;
      stackNode[open] = nodes;
      stackDepth[open++] = depth + 1;
      nodes += 2;
    }
  }
  return {
    roots,
    feature: feature.slice(0, nodes),
    split: split.slice(0, nodes),
    left: left.slice(0, nodes),
    size: size.slice(0, nodes),
  };
}

function pathLengths(most: number): Float64Array {
  return Float64Array.from({ length: most + 1 }, (_, n) => averagePathLength(n));
}

/** Score of one reading, 0 to 1; a value that is not finite has none (NaN). About 40 ns once the hour's slot is compiled. */
export function scoreReading(forest: IsolationForest, value: number, hour: number, weekday: number): number {
  const slot = slotOf(forest, hour, weekday);
  return Number.isFinite(value) ? slot.scores[indexIn(slot, value)]! : NaN;
}

/** Scores of n × 3 rows, as {@link fitIsolationForest} takes them. */
export function scoreRows(forest: IsolationForest, rows: Float64Array): Float64Array {
  const scores = new Float64Array(rows.length / COLUMNS);
  for (let i = 0, o = 0; i < scores.length; i++, o += COLUMNS)
    scores[i] = scoreReading(forest, rows[o]!, rows[o + 1]!, rows[o + 2]!);
  return scores;
}

/**
 * What the forest finds usual at an hour: the middle of the values whose score is lowest there, and how far they reach to
 * either side, both in the unit of the values; null for a forest that never split on the value.
 */
export function expectedValue(forest: IsolationForest, hour: number, weekday: number): Usual | null {
  const slot = slotOf(forest, hour, weekday);
  let found = usualOfSlot.get(slot);
  if (found === undefined) {
    found = usualOf(slot, forest.threshold);
    usualOfSlot.set(slot, found);
  }
  return found;
}

interface Usual {
  readonly expected: number;
  readonly spread: number;
}

/** Asked of every reading, and the same for all of an hour. */
const usualOfSlot = new WeakMap<Slot, Usual | null>();

function usualOf({ breakpoints, scores }: Slot, threshold: number): Usual | null {
  if (breakpoints.length < 2) return null;
  // The best plateau that has two ends.
  let best = 1;
  for (let k = 2; k < breakpoints.length; k++) if (scores[k]! < scores[best]!) best = k;
  // "Usual" reaches as far as the score stays in the lower half between the best and the threshold.
  const limit = (scores[best]! + threshold) / 2;
  let from = best;
  while (from > 1 && scores[from - 1]! <= limit) from--;
  let to = best;
  while (to < breakpoints.length - 1 && scores[to + 1]! <= limit) to++;
  const low = breakpoints[from - 1]!;
  const high = breakpoints[to]!;
  return { expected: (low + high) / 2, spread: (high - low) / 2 };
}

/**
 * How much each feature contributed to a reading's score: its share of the isolation, summing to 1. A split that isolates
 * more than halving the node would have done earns its feature the difference in bits; equal shares where no split did.
 */
export function explainReading(
  forest: IsolationForest,
  value: number,
  hour: number,
  weekday: number,
): { feature: (typeof FEATURES)[number]; share: number }[] {
  const { roots, feature, split, left, size } = forest;
  const row = [value, hour, weekday];
  const earned = new Float64Array(COLUMNS);
  for (const root of roots) {
    let node = root;
    while (feature[node] !== LEAF) {
      const column = feature[node]!;
      const child = left[node]! + (row[column]! > split[node]! ? 1 : 0);
      const bits = Math.log2(size[node]! / Math.max(1, size[child]!)) - 1;
      if (bits > 0) earned[column]! += bits;
      node = child;
    }
  }
  const total = earned[0]! + earned[1]! + earned[2]!;
  return FEATURES.map((feature, column) => ({ feature, share: total > 0 ? earned[column]! / total : 1 / COLUMNS }));
}

/** The forest at one hour of the week: a step function of the value. */
interface Slot {
  /** Ascending; a value is on the right of those it exceeds. */
  readonly breakpoints: Float32Array;
  /** One more than breakpoints. */
  readonly scores: Float64Array;
  /** For each cell of a regular grid over the breakpoints, the first index a value in it can have. */
  readonly grid: Uint16Array | Uint32Array;
  readonly gridFrom: number;
  readonly cellsPerUnit: number;
}

const GRID_CELLS = 256;

function slotOf(forest: IsolationForest, hour: number, weekday: number): Slot {
  return forest.slots[weekday * 24 + hour] ?? keepSlot(forest, hour, weekday);
}

/** What the compiled hours of a forest take. */
const bytesOfSlots = new WeakMap<IsolationForest["slots"], number>();

function keepSlot(forest: IsolationForest, hour: number, weekday: number): Slot {
  const slot = compileSlot(forest, hour, weekday);
  forest.slots[weekday * 24 + hour] = slot;
  const bytes = slot.breakpoints.byteLength + slot.scores.byteLength + slot.grid.byteLength;
  bytesOfSlots.set(forest.slots, (bytesOfSlots.get(forest.slots) ?? 0) + bytes);
  return slot;
}

function indexIn({ breakpoints, grid, gridFrom, cellsPerUnit }: Slot, value: number): number {
  const cell = (value - gridFrom) * cellsPerUnit;
  let k = grid[cell >= 0 ? (cell > GRID_CELLS ? GRID_CELLS : cell | 0) : 0]!;
  while (k < breakpoints.length && value > breakpoints[k]!) k++;
  return k;
}

function compileSlot(forest: IsolationForest, hour: number, weekday: number): Slot {
  const { feature, split, left, roots } = forest;
  const { values, places } = valueSplits(forest);
  const { changes, touched } = scratchOf(values.length);
  // Each tree is walked in the order of the value; where its path length changes, it leaves that change at the split's place.
  let base = 0;
  let count = 0;
  const stackNode = new Int32Array(STACK_DEPTH_MAX);
  const stackLow = new Int32Array(STACK_DEPTH_MAX);
  const stackHigh = new Int32Array(STACK_DEPTH_MAX);
  for (const root of roots) {
    let before = NaN;
    stackNode[0] = root;
    stackLow[0] = -1;
    stackHigh[0] = values.length;
    let open = 1;
    while (open > 0) {
      open--;
      let node = stackNode[open]!;
      const low = stackLow[open]!;
      let high = stackHigh[open]!;
      // To the leftmost leaf; what lies right of it waits on the stack.
      for (let column = feature[node]!; column !== LEAF; column = feature[node]!) {
        const child = left[node]!;
        if (column === 1) node = child + (hour > split[node]! ? 1 : 0);
        else if (column === 2) node = child + (weekday > split[node]! ? 1 : 0);
        else {
          const place = places[node]!;
          if (place <= low) node = child + 1;
          else {
            if (place < high) {
              stackNode[open] = child + 1;
              stackLow[open] = place;
              stackHigh[open++] = high;
              high = place;
            }
            node = child;
          }
        }
      }
      const path = split[node]!;
      if (low < 0) base += path;
      else if (path !== before) {
        changes[low]! += path - before;
        if (touched[low] === 0) {
          touched[low] = 1;
          count++;
        }
      }
      before = path;
    }
  }
  const exponent = -1 / (roots.length * averagePathLength(forest.subsample));
  const breakpoints = new Float32Array(count);
  const scores = new Float64Array(count + 1);
  let path = base;
  scores[0] = Math.pow(2, path * exponent);
  for (let place = 0, k = 0; k < count; place++) {
    if (touched[place] === 0) continue;
    path += changes[place]!;
    breakpoints[k++] = values[place]!;
    scores[k] = Math.pow(2, path * exponent);
    changes[place] = 0;
    touched[place] = 0;
  }
  return withGrid(breakpoints, scores);
}

/** Where the forest splits the value, whatever the hour: sorted once, so that no slot has to sort. */
interface ValueSplits {
  /** Ascending, each once. */
  readonly values: Float32Array;
  /** For each node that splits on the value, where in `values`. */
  readonly places: Uint32Array;
}

/** All 0 between two slots: changes of the summed path length, and where there are any. */
let scratch = { changes: new Float64Array(0), touched: new Uint8Array(0) };

function scratchOf(places: number): typeof scratch {
  if (scratch.changes.length < places) scratch = { changes: new Float64Array(places), touched: new Uint8Array(places) };
  return scratch;
}

const splitsOfForests = new WeakMap<Float32Array, ValueSplits>();

function valueSplits({ feature, split }: IsolationForest): ValueSplits {
  const known = splitsOfForests.get(split);
  if (known !== undefined) return known;
  const sorted = split.filter((_, node) => feature[node] === 0).sort();
  const values = sorted.filter((value, i) => i === 0 || value !== sorted[i - 1]);
  const places = new Uint32Array(split.length);
  for (let node = 0; node < split.length; node++) if (feature[node] === 0) places[node] = placeOf(values, split[node]!);
  const fresh = { values, places };
  splitsOfForests.set(split, fresh);
  return fresh;
}

/** Where a value that is among them stands. */
function placeOf(ascending: Float32Array, value: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function withGrid(breakpoints: Float32Array, scores: Float64Array): Slot {
  const count = breakpoints.length;
  const gridFrom = count > 0 ? breakpoints[0]! : 0;
  const width = count > 1 ? breakpoints[count - 1]! - gridFrom : 0;
  const cellsPerUnit = width > 0 ? GRID_CELLS / width : 0;
  const grid = count > 0xffff ? new Uint32Array(GRID_CELLS + 1) : new Uint16Array(GRID_CELLS + 1);
  if (width > 0) {
    for (let cell = 0, k = 0; cell <= GRID_CELLS; cell++) {
      const low = gridFrom + (cell / GRID_CELLS) * width;
      while (k < count && breakpoints[k]! < low) k++;
      // One early: the cell's edge is rounded.
      grid[cell] = Math.max(0, k - 1);
    }
  }
  return { breakpoints, scores, grid, gridFrom, cellsPerUnit };
}

const HEADER_BYTES = 40;
/** Six bits hold a leaf's size below it; from here on two bytes follow. */
const LONG_SIZE = 63;

/**
 * The forest as the payload of an artifact, about 38 KB at the defaults: a header, then each tree's nodes, parents first.
 * A node is one byte, two bits of feature (3: leaf) and six of payload (the whole part of an hour's or a weekday's split, or the
 * leaf's size); a split on the value is followed by its 32-bit number. Hours and weekdays are whole, so nothing is lost.
 */
export function encodeIsolationForest(forest: IsolationForest): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + forest.feature.length * 5);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, forest.settings.trees, true);
  view.setUint16(2, forest.subsample, true);
  view.setUint16(4, forest.settings.subsample, true);
  view.setFloat64(8, forest.settings.seed, true);
  view.setFloat64(16, forest.settings.contamination, true);
  view.setFloat64(24, forest.threshold, true);
  view.setUint32(32, forest.feature.length, true);
  let o = HEADER_BYTES;
  const open: number[] = [];
  for (const root of forest.roots) {
    open.push(root);
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      const column = forest.feature[node]!;
      if (column === LEAF) {
        const size = forest.size[node]!;
        bytes[o++] = 3 | (Math.min(size, LONG_SIZE) << 2);
        if (size >= LONG_SIZE) {
          view.setUint16(o, size, true);
          o += 2;
        }
        continue;
      }
      if (column === 0) {
        bytes[o++] = 0;
        view.setFloat32(o, forest.split[node]!, true);
        o += 4;
      } else bytes[o++] = column | (Math.floor(forest.split[node]!) << 2);
      open.push(forest.left[node]! + 1, forest.left[node]!);
    }
  }
  return bytes.slice(0, o);
}

/** Reads what {@link encodeIsolationForest} wrote; the scores are the same. Throws a RangeError for bytes that are no forest. */
export function decodeIsolationForest(bytes: Uint8Array): IsolationForest {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const trees = view.getUint16(0, true);
  const subsample = view.getUint16(2, true);
  const settings: IsolationForestSettings = {
    trees,
    subsample: view.getUint16(4, true),
    seed: view.getFloat64(8, true),
    contamination: view.getFloat64(16, true),
  };
  requireSettings(settings);
  const count = view.getUint32(32, true);
  if (count > bytes.length || count > trees * (2 * subsample - 1))
    throw new RangeError(`a forest of ${trees} trees cannot have ${count} nodes`);
  const threshold = view.getFloat64(24, true);
  return { settings, subsample, threshold, slots: [], ...readNodes(view, trees, subsample, count) };
}

function readNodes(view: DataView, trees: number, subsample: number, count: number): Nodes {
  const roots = new Int32Array(trees);
  const feature = new Uint8Array(count);
  const split = new Float32Array(count);
  const left = new Int32Array(count);
  const size = new Uint16Array(count);
  const leafPath = pathLengths(subsample);
  const stackNode = new Int32Array(STACK_DEPTH_MAX + 1);
  const stackDepth = new Int32Array(STACK_DEPTH_MAX + 1);
  let o = HEADER_BYTES;
  let nodes = 0;
  for (let tree = 0; tree < trees; tree++) {
    roots[tree] = nodes;
    stackNode[0] = nodes++;
    stackDepth[0] = 0;
    let open = 1;
    let held = 0;
    while (open > 0) {
      open--;
      const node = stackNode[open]!;
      const depth = stackDepth[open]!;
      if (node >= count || depth >= STACK_DEPTH_MAX) throw new RangeError("a forest's nodes do not add up");
      const byte = view.getUint8(o++);
      const column = byte & 3;
      if (column === 3) {
        let leafSize = byte >> 2;
        if (leafSize === LONG_SIZE) {
          leafSize = view.getUint16(o, true);
          o += 2;
        }
        if (leafSize < 1 || leafSize > subsample) throw new RangeError("a leaf holds more readings than its tree");
        held += leafSize;
        feature[node] = LEAF;
        size[node] = leafSize;
        split[node] = depth + leafPath[leafSize]!;
        continue;
      }
      feature[node] = column;
      if (column === 0) {
        split[node] = view.getFloat32(o, true);
        o += 4;
      } else split[node] = byte >> 2;
      left[node] = nodes;
      // The left one is read first.
      stackNode[open] = nodes + 1;
      stackDepth[open++] = depth + 1;
      stackNode[open] = nodes;
      stackDepth[open++] = depth + 1;
      nodes += 2;
    }
    if (held !== subsample) throw new RangeError("a tree's leaves do not add up");
  }
  if (nodes !== count || o !== view.byteLength) throw new RangeError("a forest has bytes left over");
  // Children stand behind their parent.
  for (let node = count - 1; node >= 0; node--)
    if (feature[node] !== LEAF) size[node] = size[left[node]!]! + size[left[node]! + 1]!;
  return { roots, feature, split, left, size };
}

/**
 * Reads forests that are kept by the thousand: each holds its payload and the hours it was asked about, about 48 KB instead
 * of 400, and all of them together the nodes of the `openMax` forests that were last compiled or explained.
 *
 * @example
 * const read = createForestReader(64);
 * scoreReading(read(payload), 21.4, 9, 0); // as that of decodeIsolationForest(payload)
 */
export function createForestReader(openMax: number): (payload: Uint8Array) => IsolationForest {
  const opened = new Map<Uint8Array, Nodes>();
  const open = (payload: Uint8Array): Nodes => {
    const nodes = opened.get(payload) ?? decodeIsolationForest(payload);
    opened.delete(payload);
    opened.set(payload, nodes);
    if (opened.size > openMax) opened.delete(opened.keys().next().value!);
    return nodes;
  };
  return (payload) => {
    const { settings, subsample, threshold } = open(payload) as IsolationForest;
    const forest: IsolationForest = {
      settings,
      subsample,
      threshold,
      slots: [],
      get roots() {
        return open(payload).roots;
      },
      get feature() {
        return open(payload).feature;
      },
      get split() {
        return open(payload).split;
      },
      get left() {
        return open(payload).left;
      },
      get size() {
        return open(payload).size;
      },
    };
    payloads.set(forest.slots, payload.byteLength);
    return forest;
  };
}

const payloads = new WeakMap<IsolationForest["slots"], number>();
/** Its slots' array, records and views, beside what they hold. */
const FOREST_OBJECTS_BYTES = 2_000;

/** What a forest of {@link createForestReader} holds, bytes, without its nodes. */
export const heldBytes = ({ slots }: IsolationForest): number =>
  (payloads.get(slots) ?? 0) + (bytesOfSlots.get(slots) ?? 0) + FOREST_OBJECTS_BYTES;
