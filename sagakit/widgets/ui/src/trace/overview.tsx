/** The whole time in a strip: where spans are that fit the filter, and what of it is in sight. */
import { memo, useEffect, useMemo, useRef, type PointerEvent } from "react";
import { density } from "./bars";
import type { Camera } from "./camera";
import type { Ground } from "./moves";

const PARTS = 160;

interface Props {
  ground: Ground;
  camera: Camera;
}

export const Overview = memo(function Overview({ ground, camera }: Props) {
  const { tables, fits } = ground;
  const paths = useMemo(
    () => tables.map((table, run) => pathOf(density(table, fits[run]!, camera.all, PARTS))),
    [tables, fits, camera],
  );
  return (
    // keys do all of it, and say it
    <div className="sk-overview" aria-hidden="true">
      <span>all of it</span>
      {paths.map((path, run) => (
        <Strip key={run} path={path} camera={camera} />
      ))}
    </div>
  );
});

function Strip({ path, camera }: { path: string; camera: Camera }) {
  const thumb = useRef<HTMLDivElement>(null);
  const held = useRef<number | null>(null); // how far from the middle of the thumb, a part of all
  useEffect(() => {
    const place = () => {
      const [from, to] = camera.shares;
      thumb.current!.style.left = `${from * 100}%`;
      thumb.current!.style.width = `${(to - from) * 100}%`;
    };
    place();
    return camera.listen(place);
  }, [camera]);
  const shareAt = ({ currentTarget, clientX }: PointerEvent) => {
    const { left, width } = currentTarget.getBoundingClientRect();
    return (clientX - left) / width;
  };
  const onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const share = shareAt(event);
    const [from, to] = camera.shares;
    held.current = share >= from && share <= to ? share - (from + to) / 2 : 0;
    camera.centre(share - held.current);
  };
  const onPointerMove = (event: PointerEvent) => {
    if (held.current !== null) camera.centre(shareAt(event) - held.current);
  };
  const end = () => (held.current = null);
  return (
    <div
      className="sk-strip"
      title="Drag to what you want to see"
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={end}
      onPointerCancel={end}
    >
      <svg viewBox={`0 0 ${PARTS} 1`} preserveAspectRatio="none">
        <path d={path} />
      </svg>
      <div ref={thumb} className="sk-thumb" />
    </div>
  );
}

/** A column for each part; one span can be seen beside a thousand. */
function pathOf(counts: Int32Array): string {
  const most = Math.log1p(Math.max(1, ...counts));
  return [...counts]
    .map((count, i) => {
      const height = count === 0 ? 0 : 0.2 + (0.65 * Math.log1p(count)) / most;
      return height > 0 ? `M${i} 1v${(-height).toFixed(2)}h1V1z` : "";
    })
    .join("");
}
