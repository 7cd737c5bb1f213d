const FORBIDDEN_STARTS = ["xn--", "sthree-", "amzn-s3-demo-"];
const FORBIDDEN_ENDS = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3", "-an"];

const isLetterOrDigit = (code: number) => (code >= 97 && code <= 122) || (code >= 48 && code <= 57);
const IP_ADDRESS = /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;

/**
 * What is wrong with a name for a new bucket, or undefined (S3 user guide, "General purpose bucket naming rules").
 */
export function bucketNameProblem(name: string): string | undefined {
  if (name.length < 3 || name.length > 63) return "a bucket's name has 3 to 63 characters";
  for (let index = 0; index < name.length; index += 1) {
    const code = name.charCodeAt(index);
    if (!isLetterOrDigit(code) && code !== 45 && code !== 46) {
      return "a bucket's name has lower-case letters, digits, dots and hyphens only";
    }
  }
  if (!isLetterOrDigit(name.charCodeAt(0)) || !isLetterOrDigit(name.charCodeAt(name.length - 1))) {
    return "a bucket's name begins and ends with a letter or a digit";
  }
  if (name.includes("..")) return "a bucket's name has no two dots side by side";
  if (IP_ADDRESS.test(name)) return "a bucket's name is not an IP address";
  const start = FORBIDDEN_STARTS.find((prefix) => name.startsWith(prefix));
  if (start !== undefined) return `a bucket's name does not begin with ${start}`;
  const end = FORBIDDEN_ENDS.find((suffix) => name.endsWith(suffix));
  if (end !== undefined) return `a bucket's name does not end with ${end}`;
  return undefined;
}
