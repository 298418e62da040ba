/** Play, pause, steps forward and back, and the scrubber with its marks. */
import { memo, type CSSProperties } from "react";
import { Icon, type IconName } from "../icons";
import type { Film, Legend } from "../watching";
import { paint } from "./look";
import { SPEEDS, type Playhead } from "./playhead";

interface Props {
  film: Film;
  head: Playhead;
  legend: Legend;
  off: boolean;
  words: string; // of the event that is shown
}

export function Transport({ film, head, legend, off, words }: Props) {
  const last = film.events.at.length - 1;
  const { at, go } = head;
  const tool = (icon: IconName, label: string, keys: string, does: () => void, isOff: boolean) => (
    <button
      type="button"
      className="sk-tool"
      aria-label={label}
      title={`${label} (${keys})`}
      aria-disabled={isOff || undefined}
      onClick={() => isOff || does()}
    >
      <Icon name={icon} />
    </button>
  );
  return (
    <div className="sk-transport" role="group" aria-label="Playback">
      <div className="sk-transport-tools">
        {tool("start", "To the beginning", "Home", () => go(0), off || at === 0)}
        {tool("behind", "One event back", ",", () => go(at - 1), off || at === 0)}
        <button
          type="button"
          className="sk-tool sk-play"
          aria-label={head.plays ? "Pause" : "Play"}
          title={`${head.plays ? "Pause" : "Play"} (P)`}
          aria-disabled={off || undefined}
          onClick={() => off || head.toggle()}
        >
          <Icon name={head.plays ? "pause" : "play"} size={18} />
        </button>
        {tool("ahead", "One event on", ".", () => go(at + 1), off || at === last)}
        {tool("end", "To the end", "End", () => go(last), off || at === last)}
      </div>
      <div className="sk-scrub">
        <input
          type="range"
          aria-label="Event"
          aria-valuetext={words}
          min={0}
          max={last}
          step={1}
          value={at}
          disabled={off}
          style={{ "--sk-done": last > 0 ? at / last : 0 } as CSSProperties}
          onChange={(event) => go(Number(event.target.value))}
        />
        {!off && <Ticks film={film} legend={legend} last={last} />}
      </div>
      <label className="sk-speed">
        <span className="sk-hidden">Speed</span>
        <select
          value={head.speed}
          onChange={(event) => head.setSpeed(Number(event.target.value))}
          title="Speed"
        >
          {SPEEDS.map((speed) => (
            <option key={speed} value={speed}>{`${speed}×`}</option>
          ))}
        </select>
      </label>
    </div>
  );
}

const PLACES = 200; // along the scrubber; of more marks at one of them only one could be seen

/** Where faults and crashes struck. */
const Ticks = memo(function Ticks({
  film,
  legend,
  last,
}: {
  film: Film;
  legend: Legend;
  last: number;
}) {
  if (last <= 0) return null;
  const places = new Map(
    film.struck.map(([event, what]) => [Math.round((event / last) * PLACES), what]),
  );
  return (
    <div className="sk-ticks-row" aria-hidden="true">
      {[...places].map(([place, what]) => {
        const { style, ...hatch } = paint(legend.marks[what]);
        return (
          <span
            key={place}
            className="sk-tick-mark sk-seen"
            {...hatch}
            style={{ ...style, left: `${(place / PLACES) * 100}%` }}
          >
            {legend.marks[what]?.glyph}
          </span>
        );
      })}
    </div>
  );
});
