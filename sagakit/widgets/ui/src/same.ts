/** The old value where the new one says the same, so that nothing is drawn anew for it. */
export function same<T>(old: T, now: T): T {
  if (Object.is(old, now)) return old;
  if (typeof old !== "object" || typeof now !== "object" || !old || !now) return now;
  if (Array.isArray(old) !== Array.isArray(now)) return now;
  const [was, is] = [old as Record<string, unknown>, now as Record<string, unknown>];
  const keys = Object.keys(is);
  const kept = Object.fromEntries(keys.map((key) => [key, same(was[key], is[key])]));
  if (
    keys.length === Object.keys(was).length &&
    keys.every((key) => key in was && kept[key] === was[key])
  )
    return old;
  return (Array.isArray(now) ? keys.map((key) => kept[key]) : kept) as T;
}
