import { z } from "zod";
import { invalid, notFound } from "../../src/errors/storage-error.js";
import { didYouMean } from "../../src/model/nearest.js";
import { userOf } from "./find-user.js";
import { checkedPolicy } from "./policy-document.js";
import type { AdminCall, Route } from "./route.js";
import { userView } from "./user-view.js";
import type { PolicyView } from "./views.js";

// IAM has 10 managed policies a user. Here a little more, as every request reads them all.
const MAX_POLICIES = 20;

export const policyRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/users/:user/policies", run: async (call) => userView(userOf(call)).policies },
  { method: "PUT", path: "/v1/users/:user/policies/:policy", run: attachPolicy },
  { method: "DELETE", path: "/v1/users/:user/policies/:policy", run: detachPolicy },
];

/** In the place of one of the same name. */
async function attachPolicy(call: AdminCall): Promise<PolicyView[]> {
  const { document } = call.body(z.strictObject({ document: z.string() }));
  const policy = checkedPolicy(call.param("policy"), document);
  const user = userOf(call);
  const others = user.policies.filter(({ name }) => name !== policy.name);
  if (others.length >= MAX_POLICIES)
    throw invalid(`user ${user.name} has ${MAX_POLICIES} policies already; put several statements in one`);
  return userView(await call.world.identities.change(call, user.name, { attach: policy })).policies;
}

async function detachPolicy(call: AdminCall): Promise<PolicyView[]> {
  const user = userOf(call);
  const wanted = call.param("policy");
  const names = user.policies.map(({ name }) => name);
  if (!names.includes(wanted))
    throw notFound(
      `user ${user.name} has no policy ${JSON.stringify(wanted.slice(0, 128))}${didYouMean(wanted, names)}`,
    );
  return userView(await call.world.identities.change(call, user.name, { detach: wanted })).policies;
}
