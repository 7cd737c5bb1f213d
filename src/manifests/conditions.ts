import type { AnyObject, ObjectCondition } from "./objects.js";

/** What a condition says, without its time. */
export type ConditionState = Omit<ObjectCondition, "lastTransitionTime">;

export function conditionsOf(object: AnyObject): ObjectCondition[] | undefined {
  return "status" in object && "conditions" in object.status ? object.status.conditions : undefined;
}

/** Sets a condition in place; its time changes only when its status does (the Kubernetes API conventions). */
export function setCondition(object: AnyObject, state: ConditionState): void {
  const conditions = conditionsOf(object);
  if (!conditions) return;
  const known = conditions.find((condition) => condition.type === state.type);
  const lastTransitionTime = known?.status === state.status ? known.lastTransitionTime : new Date().toISOString();
  if (known) Object.assign(known, state, { lastTransitionTime });
  else conditions.push({ ...state, lastTransitionTime });
}

export function clearCondition(object: AnyObject, type: string, status?: ObjectCondition["status"]): void {
  const conditions = conditionsOf(object);
  const at = conditions?.findIndex((c) => c.type === type && (status === undefined || c.status === status)) ?? -1;
  if (at >= 0) conditions?.splice(at, 1);
}

export function hasCondition(object: AnyObject, type: string): boolean {
  return conditionsOf(object)?.some((condition) => condition.type === type && condition.status === "True") ?? false;
}
