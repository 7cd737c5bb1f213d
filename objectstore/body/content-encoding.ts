/**
 * Content-Encoding without `aws-chunked`, wherever it stands in the list: that is how the body travels and no property of
 * the object (S3 API, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks").
 *
 * @returns undefined where nothing is left
 */
export function storedContentEncoding(header: string | undefined): string | undefined {
  if (header === undefined || !header.toLowerCase().includes("aws-chunked")) return header;
  const rest = header
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "" && part.toLowerCase() !== "aws-chunked");
  return rest.length === 0 ? undefined : rest.join(",");
}
