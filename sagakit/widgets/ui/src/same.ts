/** The old value where the new one says the same, so that nothing is drawn anew for it. */
export function same<T>(old: T, now: T): T {
  if (Object.is(old, now)) return old;
  if (typeof old !== "object" || typeof now !== "object" || !old || !now) return now;
  if (Array.isArray(old) || Array.isArray(now)) return sameArray(old, now);
  const [was, is] = [old as Record<string, unknown>, now as Record<string, unknown>];
  const keys = Object.keys(is);
  const kept = Object.fromEntries(keys.map((key) => [key, same(was[key], is[key])]));
  const isSame = keys.every((key) => Object.hasOwn(was, key) && kept[key] === was[key]);
  return isSame && keys.length === Object.keys(was).length ? old : (kept as T);
}

/** Apart, since arrays may be long. */
function sameArray<T>(old: T, now: T): T {
  if (!Array.isArray(old) || !Array.isArray(now)) return now;
  const kept = now.map((one, i) => same(old[i], one));
  return kept.length === old.length && kept.every((one, i) => one === old[i]) ? old : (kept as T);
}
