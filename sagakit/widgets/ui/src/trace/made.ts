/** Traces for tests: columns packed as the kernel packs them. */
import type { Column, TraceRun } from "../watching";
import { tablesOf, type Table } from "./table";

export interface MadeSpan {
  lane: number;
  start: number;
  end: number;
  name?: string;
  outcome?: string;
  parent?: number;
  node?: number;
  critical?: boolean;
}
export interface MadeLane {
  label: string;
  depth?: number;
  twin?: number;
}

const KINDS = { f8: Float64Array, i4: Int32Array, u1: Uint8Array };

/** Columns one behind the other, each at a multiple of eight. */
export class Packer {
  private parts: [number, ArrayBufferView][] = [];
  private size = 0;

  put(kind: Column[1], values: number[]): Column {
    const at = this.size;
    const made = KINDS[kind].from(values);
    this.parts.push([at, made]);
    this.size = Math.ceil((at + made.byteLength) / 8) * 8;
    return [at, kind];
  }

  /** All of it, beginning so many bytes into a buffer. */
  whole(ahead = 0): DataView {
    const bytes = new Uint8Array(ahead + this.size);
    for (const [at, part] of this.parts)
      bytes.set(new Uint8Array(part.buffer as ArrayBuffer), ahead + at);
    return new DataView(bytes.buffer, ahead);
  }
}

export function madeRun(packer: Packer, spans: MadeSpan[], lanes: MadeLane[]): TraceRun {
  const texts: string[] = [];
  const text = (word: string) => {
    if (!texts.includes(word)) texts.push(word);
    return texts.indexOf(word);
  };
  const depths = lanes.map(({ depth = 0 }) => depth);
  const inside = (at: number) => {
    const next = depths.findIndex((depth, i) => i > at && depth <= depths[at]!);
    return (next < 0 ? lanes.length : next) - at - 1;
  };
  const ends = spans.map(({ end }) => end).filter((end) => !Number.isNaN(end));
  const starts = spans.map(({ start }) => start);
  return {
    title: "t",
    status: "",
    duration: Math.max(0, ...ends, ...starts),
    spans: {
      count: spans.length,
      start: packer.put("f8", starts),
      end: packer.put(
        "f8",
        spans.map(({ end }) => end),
      ),
      lane: packer.put(
        "i4",
        spans.map(({ lane }) => lane),
      ),
      parent: packer.put(
        "i4",
        spans.map(({ parent = -1 }) => parent),
      ),
      name: packer.put(
        "i4",
        spans.map(({ name, lane }) => text(name ?? lanes[lane]!.label)),
      ),
      service: packer.put(
        "i4",
        spans.map(() => text("")),
      ),
      outcome: packer.put(
        "i4",
        spans.map(({ outcome = "succeeded" }) => text(outcome)),
      ),
      node: packer.put(
        "i4",
        spans.map(({ node = -1 }) => node),
      ),
      critical: packer.put(
        "u1",
        spans.map(({ critical = false }) => Number(critical)),
      ),
    },
    lanes: {
      count: lanes.length,
      depth: packer.put("i4", depths),
      size: packer.put(
        "i4",
        depths.map((_, i) => inside(i)),
      ),
      label: packer.put(
        "i4",
        lanes.map(({ label }) => text(label)),
      ),
      twin: packer.put(
        "i4",
        lanes.map(({ twin = -1 }) => twin),
      ),
    },
    texts,
    nodes: [],
    edges: [],
    states: [],
  };
}

export function madeTables(...traces: [MadeSpan[], MadeLane[]][]): Table[] {
  const packer = new Packer();
  const runs = traces.map(([spans, lanes]) => madeRun(packer, spans, lanes));
  return tablesOf(runs, packer.whole());
}
