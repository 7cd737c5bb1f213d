import { describe, expect, it } from "vitest";
import { withHoistedHeaders } from "../../objectstore/auth/hoisted.js";
import { requestOf } from "./s3-requests.js";

describe("presigned URLs", () => {
  it("x-amz-* of the query: as headers, but for the signature's and for checksums of a body that was not there", () => {
    const query = [
      "X-Amz-Algorithm=a&X-Amz-Content-Sha256=b&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=1&X-Amz-Signature=e",
      "X-Amz-SignedHeaders=host&x-amz-acl=public-read&x-amz-meta-a=%C3%A9&X-Amz-Tagging=a%3Db&x-amz-checksum-mode=ENABLED",
      "x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&x-id=PutObject&x-amz-server-side-encryption=AES256",
    ].join("&");
    const { headers } = withHoistedHeaders(requestOf("PUT", `/b/k?${query}`, [["host", "h"]]));
    expect(Object.fromEntries(headers)).toEqual({
      host: "h",
      "x-amz-acl": "public-read",
      "x-amz-meta-a": Buffer.from("é").toString("latin1"),
      "x-amz-tagging": "a=b",
      "x-amz-checksum-mode": "ENABLED",
      // Kept, so that it is refused: encryption that was asked for and not done must not be passed over.
      "x-amz-server-side-encryption": "AES256",
    });
  });

  it("a header that was sent itself: stays", () => {
    const request = requestOf("PUT", "/b/k?x-amz-acl=public-read", [["x-amz-acl", "private"]]);
    expect(withHoistedHeaders(request)).toBe(request);
  });
});
