import { S3Error } from "../../src/errors/s3-error.js";
import {
  childOf,
  childrenOf,
  expectChildren,
  malformedXml,
  parseDocument,
  textOf,
  type XmlElement,
} from "../xml/read.js";
import { element, leaf, optionalLeaf, xmlDocument } from "../xml/write.js";
import { type Acl, type Grant, PERMISSIONS } from "./acl.js";
import { checkedGrants } from "./acl-headers.js";
import { type Directory, displayName, GROUP_URIS, groupByUri, idByEmail, knownId } from "./grantees.js";

/** A hundred grants with every name at its longest. */
export const MAX_ACL_BYTES = 256 * 1024;

const XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';

function person(directory: Directory, id: string): string {
  return leaf("ID", id) + optionalLeaf("DisplayName", displayName(directory, id));
}

function granteeXml(directory: Directory, grant: Grant): string {
  if ("id" in grant) return `<Grantee ${XSI} xsi:type="CanonicalUser">${person(directory, grant.id)}</Grantee>`;
  return `<Grantee ${XSI} xsi:type="Group">${leaf("URI", GROUP_URIS[grant.group])}</Grantee>`;
}

/** GetBucketAcl's and GetObjectAcl's answer. */
export function aclXml(directory: Directory, ownerId: string, acl: Acl): string {
  const grants = acl.map((grant) =>
    element("Grant", granteeXml(directory, grant), leaf("Permission", grant.permission)),
  );
  return xmlDocument(
    "AccessControlPolicy",
    element("Owner", person(directory, ownerId)),
    element("AccessControlList", ...grants),
  );
}

/** The prefix of `xsi:type` is the document's to choose. */
function typeOf(grantee: XmlElement): string | undefined {
  for (const [name, value] of grantee.attributes) if (name === "type" || name.endsWith(":type")) return value;
  return undefined;
}

function needed(parent: XmlElement, name: string): string {
  const text = textOf(parent, name);
  if (text === undefined || text === "") throw malformedXml(`${parent.name} needs ${name}`);
  return text;
}

function grantFrom(directory: Directory, element: XmlElement): Grant {
  expectChildren(element, ["Grantee", "Permission"]);
  const grantee = childOf(element, "Grantee");
  if (!grantee) throw malformedXml("Grant needs Grantee");
  const asked = needed(element, "Permission");
  const permission = PERMISSIONS.find((name) => name === asked);
  if (permission === undefined) throw malformedXml(`Permission is one of ${PERMISSIONS.join(", ")}`);
  expectChildren(grantee, ["ID", "DisplayName", "EmailAddress", "URI"]);
  switch (typeOf(grantee)) {
    case "CanonicalUser":
      return { id: knownId(directory, needed(grantee, "ID")), permission };
    case "AmazonCustomerByEmail":
      return { id: idByEmail(directory, needed(grantee, "EmailAddress")), permission };
    case "Group":
      return { group: groupByUri(needed(grantee, "URI")), permission };
    default:
      throw malformedXml("a Grantee's xsi:type is CanonicalUser, AmazonCustomerByEmail or Group");
  }
}

function parse(directory: Directory, text: string, ownerId: string): Acl {
  const root = parseDocument(text, "AccessControlPolicy", { length: MAX_ACL_BYTES });
  expectChildren(root, ["Owner", "AccessControlList"]);
  const owner = childOf(root, "Owner");
  const list = childOf(root, "AccessControlList");
  if (!owner || !list) throw malformedXml("AccessControlPolicy needs Owner and AccessControlList");
  expectChildren(owner, ["ID", "DisplayName"]);
  expectChildren(list, [], ["Grant"]);
  // An ACL gives away rights, never the resource.
  if (needed(owner, "ID") !== ownerId) throw new S3Error("AccessDenied", "Access Denied: the owner cannot be changed");
  return checkedGrants(childrenOf(list, "Grant").map((grant) => grantFrom(directory, grant)));
}

/**
 * An `AccessControlPolicy` document for what `ownerId` owns.
 *
 * @throws S3Error MalformedACLError, AccessDenied for another owner, InvalidArgument and UnresolvableGrantByEmailAddress
 *   for grantees that are not there
 */
export function aclFromXml(directory: Directory, text: string, ownerId: string): Acl {
  try {
    return parse(directory, text, ownerId);
  } catch (error) {
    if (error instanceof S3Error && error.code === "MalformedXML")
      throw new S3Error("MalformedACLError", error.message);
    throw error;
  }
}
