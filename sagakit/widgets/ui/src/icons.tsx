/** The icons, drawn on a field of 16 by 16; they say nothing, their buttons do. */
const PATHS = {
  step: "M3 4.5h10v7H3z",
  pivot: "M8 2.2 13.8 8 8 13.8 2.2 8z",
  wait: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3.2l2.2 1.4",
  choice: "M8 2.5 13.5 8 8 13.5 2.5 8zM6.6 6.6a1.5 1.5 0 1 1 2 1.7c-.4.2-.6.4-.6.8M8 10.8v.1",
  saga: "M2.5 3h11v10h-11zM5 6.2h2.6v3.6H5zM9.4 8h1.8M7.6 8h1.8",
  for_each: "M2.5 5.5h8v8h-8zM5.5 5.5v-3h8v8h-3",
  connector: "M6 2.5v3M10 2.5v3M4 5.5h8v2.2a4 4 0 0 1-8 0zM8 11.7v2",
  action: "M9.5 2.5 5.5 8.6h4.2L6.5 13.5",
  retry: "M12.8 6.4A5 5 0 1 0 13 8.6M13 3.2v3.4H9.6",
  timeout: "M8 4.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6zM8 6.4V9l1.6 1M6.4 2.2h3.2",
  when: "M2.5 8h3l3-4h5M5.5 8l3 4h5",
  branch: "M2.5 8h3l3-4h5M5.5 8l3 4h5",
  shield: "M8 2.2l4.8 1.7v3.7c0 3-2 5-4.8 6.2C5.2 12.6 3.2 10.6 3.2 7.6V3.9z",
  read: "M1.8 8s2.3-4 6.2-4 6.2 4 6.2 4-2.3 4-6.2 4-6.2-4-6.2-4zM8 6.4a1.6 1.6 0 1 0 0 3.2 1.6 1.6 0 0 0 0-3.2z",
  back: "M6 4 3 7l3 3M3 7h6.5a3 3 0 0 1 0 6H7",
  undo: "M6 3.5 3 6.5l3 3M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6.5",
  redo: "M10 3.5l3 3-3 3M13 6.5H6.5a3.5 3.5 0 0 0 0 7h3",
  layout: "M2.5 6h3.5v4H2.5zM10 2.5h3.5v4H10zM10 9.5h3.5v4H10zM6 8h2M8 4.5v7M8 4.5h2M8 11.5h2",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4zM10 10l3.5 3.5",
  save: "M8 2.5v7M5 7l3 3 3-3M3 11.5v2h10v-2",
  load: "M8 10V3M5 5.8l3-3 3 3M3 11.5v2h10v-2",
  side: "M2.5 3h11v10h-11zM9.5 3v10M11 5.5h1M11 7.5h1",
  help: "M6 6.2a2 2 0 1 1 2.8 1.9c-.5.3-.8.6-.8 1.2M8 11.6v.1M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z",
  remove: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9",
  close: "M4 4l8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  fold: "M5 2l3 3 3-3M5 14l3-3 3 3M3 8h10",
  unfold: "M5 5l3-3 3 3M5 11l3 3 3-3M3 8h10",
  error: "M8 2.2 14.2 13H1.8zM8 6.2v3.2M8 11.2v.1",
  warning: "M8 2.2 14.2 13H1.8zM8 6.2v3.2M8 11.2v.1",
  note: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 7.2v3.6M8 5v.1",
  play: "M5 3l8 5-8 5z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  ahead: "M4 3.5l6 4.5-6 4.5zM12 3.5v9",
  behind: "M12 3.5L6 8l6 4.5zM4 3.5v9",
  end: "M2.5 3.5 8 8l-5.5 4.5zM8 3.5 13.5 8 8 12.5z",
  start: "M13.5 3.5 8 8l5.5 4.5zM8 3.5 2.5 8 8 12.5z",
  legend: "M2.5 3h4v4h-4zM2.5 9.5h4v4h-4zM9 5h4.5M9 11.5h4.5",
  open: "M6 4l4 4-4 4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: string; size?: number }) {
  const path = PATHS[name as IconName] ?? PATHS.action;
  return (
    <svg className="sk-icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}
