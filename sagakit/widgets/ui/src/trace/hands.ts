/** What wheel and pointer do to the timeline: zoom, pan, drag a range. */
import { useEffect, useRef, useState, type PointerEvent, type RefObject } from "react";
import type { Camera } from "./camera";

const THRESHOLD = 4; // px; a shorter way is a click

interface Drag {
  pointer: number;
  x: number;
  y: number;
  left: number; // of the track, on the page
  begin: number; // px in the track
  isRange: boolean;
  moves: boolean;
}

export function useHands(
  camera: Camera,
  box: RefObject<HTMLDivElement | null>,
  list: RefObject<HTMLDivElement | null>,
) {
  const drag = useRef<Drag | null>(null);
  const dragged = useRef(false);
  const [range, setRange] = useState<[number, number] | null>(null);

  // React listens to the wheel so that it cannot be prevented
  useEffect(() => {
    const onWheel = (event: WheelEvent) => {
      const track = trackAt(box.current!, event.clientX);
      if (!track || event.defaultPrevented) return;
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
      const [x, y] = [event.deltaX * unit, event.deltaY * unit];
      if (event.ctrlKey || event.metaKey)
        camera.zoom(
          Math.exp(-y * 0.003),
          within(event.clientX - track.getBoundingClientRect().left, camera),
        );
      else if (event.shiftKey) camera.pan(x || y);
      else if (Math.abs(x) > Math.abs(y)) camera.pan(x);
      else return; // it scrolls the lanes
      event.preventDefault();
      event.stopPropagation();
    };
    const element = box.current!;
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, [camera, box]);

  const onPointerDown = (event: PointerEvent) => {
    dragged.current = false;
    const target = event.target as Element;
    const track = target.closest<HTMLElement>(".sk-track, .sk-axis");
    if (event.button !== 0 || !track) return;
    const { left } = track.getBoundingClientRect();
    drag.current = {
      pointer: event.pointerId,
      x: event.clientX,
      y: event.clientY,
      left,
      begin: event.clientX - left,
      isRange: event.shiftKey || track.classList.contains("sk-axis"),
      moves: false,
    };
  };
  const onPointerMove = (event: PointerEvent) => {
    const now = drag.current;
    if (!now || event.pointerId !== now.pointer) return;
    if (event.buttons === 0) return onPointerUp(event); // let go where nothing told of it
    const [x, y] = [event.clientX - now.x, event.clientY - now.y];
    if (!now.moves && Math.hypot(x, y) < THRESHOLD) return;
    if (!now.moves) {
      now.moves = dragged.current = true;
      box.current!.setPointerCapture(now.pointer);
      box.current!.classList.add("sk-drags");
    }
    if (now.isRange) return setRange([now.begin, within(event.clientX - now.left, camera)]);
    camera.pan(-x);
    if (y) list.current!.scrollTop -= y;
    [now.x, now.y] = [event.clientX, event.clientY];
  };
  const onPointerUp = (event: PointerEvent) => {
    const now = drag.current;
    drag.current = null;
    box.current!.classList.remove("sk-drags");
    setRange(null);
    if (now?.moves && now.isRange && event.type === "pointerup")
      camera.range(now.begin, within(event.clientX - now.left, camera));
  };
  return {
    range,
    hands: { onPointerDown, onPointerMove, onPointerUp, onPointerCancel: onPointerUp },
    /** Whether the click that follows ends a drag. */
    hasDragged: () => dragged.current,
  };
}

function within(px: number, { width }: Camera): number {
  return Math.min(Math.max(px, 0), width);
}

/** The track above or under a place on the page; beside all of them, the first. */
function trackAt(box: HTMLElement, x: number): Element | undefined {
  const tracks = [...box.querySelectorAll(".sk-axis")];
  return tracks.findLast((one) => x >= one.getBoundingClientRect().left) ?? tracks[0];
}
