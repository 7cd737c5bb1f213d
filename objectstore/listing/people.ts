import { displayName } from "../access/grantees.js";
import type { RequestContext } from "../types.js";
import { leaf, optionalLeaf } from "../xml/write.js";

/** `<Owner>` or `<Initiator>` by canonical user id; each is put together once, since a page has a few of them at most. */
export function peopleXml(ctx: RequestContext): (element: "Owner" | "Initiator", id: string) => string {
  const known = new Map<string, string>();
  return (element, id) => {
    let content = known.get(id);
    if (content === undefined) {
      content = leaf("ID", id) + optionalLeaf("DisplayName", displayName(ctx, id));
      known.set(id, content);
    }
    return `<${element}>${content}</${element}>`;
  };
}
