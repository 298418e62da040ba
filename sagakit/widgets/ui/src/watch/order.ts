/** The guess of which compensations run, as a list that buttons change. No React. */

export function added(order: string[], step: string): string[] {
  return order.includes(step) ? order : [...order, step];
}

export function removed(order: string[], step: string): string[] {
  return order.filter((one) => one !== step);
}

/** One place earlier (-1) or later (1), as far as there is one. */
export function moved(order: string[], step: string, by: -1 | 1): string[] {
  const from = order.indexOf(step);
  const to = from + by;
  if (from < 0 || to < 0 || to >= order.length) return order;
  const rest = removed(order, step);
  return [...rest.slice(0, to), step, ...rest.slice(to)];
}
