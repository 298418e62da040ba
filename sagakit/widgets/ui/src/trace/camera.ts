/** What part of the time is in sight, for all that shows it. It moves without React: many times a second. */
import { between, bringing, panned, whole, zoomed, type Sight } from "./sight";

export class Camera {
  readonly all: Sight;
  sight: Sight;
  width = 0; // px, of one trace
  private readonly listeners = new Set<() => void>();

  constructor(span: number) {
    this.all = whole(span);
    this.sight = this.all;
  }

  get scale(): number {
    return this.width / (this.sight.to - this.sight.from); // px a second
  }

  listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  resize(width: number): void {
    if (width === this.width) return;
    this.width = width;
    this.tell();
  }

  pan(px: number): void {
    this.set(panned(this.sight, px / this.scale, this.all));
  }

  /** Nearer or farther; without a place, the middle stays where it is. */
  zoom(factor: number, px = this.width / 2): void {
    this.set(zoomed(this.sight, factor, this.timeAt(px), this.all));
  }

  range(one: number, other: number): void {
    this.set(between(this.timeAt(one), this.timeAt(other), this.all));
  }

  /** Fill the view with a span, and some room around it. */
  fill(start: number, until: number): void {
    const room = (until - start) * 0.1;
    this.set(between(start - room, until + room, this.all));
  }

  bring(start: number, until: number): void {
    this.set(bringing(this.sight, start, until, this.all));
  }

  /** Move so that a place of the whole, 0 its beginning and 1 its end, is in the middle. */
  centre(share: number): void {
    const time = this.all.from + share * (this.all.to - this.all.from);
    this.set(panned(this.sight, time - (this.sight.from + this.sight.to) / 2, this.all));
  }

  /** Where what is in sight begins and ends, as parts of the whole. */
  get shares(): [number, number] {
    const size = this.all.to - this.all.from;
    return [this.sight.from, this.sight.to].map((time) => (time - this.all.from) / size) as [
      number,
      number,
    ];
  }

  reset = (): void => this.set(this.all);

  timeAt(px: number): number {
    return this.sight.from + px / this.scale;
  }

  private set(sight: Sight): void {
    this.sight = sight;
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}
