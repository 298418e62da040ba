import type { Draft, Json } from "../protocol";

export type Service = { service: string; [policy: string]: Json };

/** With these services; where one has another name now, its steps follow. */
export function withServices(draft: Draft, services: Service[]): Draft {
  const { services: before, ...rest } = draft;
  const old = (before ?? []) as Service[];
  const taken = new Set(services.map(({ service }) => service));
  const renamed = new Map(
    old.length === services.length
      ? old
          .map(({ service }, at) => [service, services[at]!.service] as const)
          .filter(([from, to]) => from !== to && !taken.has(from))
      : [],
  );
  const steps = draft.steps.map((step) => {
    const name = renamed.get(step.service as string);
    return name === undefined ? step : { ...step, service: name };
  });
  return services.length ? { ...draft, steps, services } : ({ ...rest, steps } as Draft);
}
