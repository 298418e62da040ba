/** What part of the time is in sight, and how it is moved and stretched. No React. */

export interface Sight {
  from: number; // seconds
  to: number;
}

const MARGIN = 0.02; // of the whole, free on both sides
const CLOSEST = 1e-7; // of the whole: nearer, the numbers end

/** All of it, with a little room around. */
export function whole(span: number): Sight {
  const all = span > 0 ? span : 1;
  return { from: -MARGIN * all, to: (1 + MARGIN) * all };
}

function kept({ from, to }: Sight, all: Sight): Sight {
  const size = to - from;
  const begin = Math.min(Math.max(from, all.from), all.to - size);
  return { from: begin, to: begin + size };
}

/** Moved by so many seconds, as far as there is something. */
export function panned({ from, to }: Sight, by: number, all: Sight): Sight {
  return kept({ from: from + by, to: to + by }, all);
}

/** Nearer (a factor above 1) or farther, with `time` staying where it is. */
export function zoomed({ from, to }: Sight, factor: number, time: number, all: Sight): Sight {
  const most = all.to - all.from;
  const size = Math.min(Math.max((to - from) / factor, most * CLOSEST), most);
  const share = (time - from) / (to - from);
  return kept({ from: time - share * size, to: time + (1 - share) * size }, all);
}

/** From one time to another, whichever is the earlier; not nearer than it can be. */
export function between(one: number, other: number, all: Sight): Sight {
  const [from, to] = [Math.min(one, other), Math.max(one, other)];
  const size = Math.max(to - from, (all.to - all.from) * CLOSEST);
  return kept({ from, to: from + Math.min(size, all.to - all.from) }, all);
}

/** With a span in sight: as it is if it begins there, else moved. */
export function bringing(sight: Sight, start: number, until: number, all: Sight): Sight {
  const size = sight.to - sight.from;
  const edge = size * 0.04;
  const isIn = start >= sight.from + edge && start <= sight.to - 2 * edge;
  const fills = start < sight.from && until > sight.to;
  if (isIn || fills) return sight;
  return panned(sight, start - sight.from - size * 0.2, all);
}
