import { invalid } from "../errors/storage-error.js";

const MIN_ACCESS_KEY = 3;
const MAX_ACCESS_KEY = 128;
const MIN_SECRET = 8;
const MAX_SECRET = 128;
// A credential scope is ACCESS-KEY/DATE/..., in a header that commas and in a query that ampersands take apart.
const ACCESS_KEY = /^[A-Za-z0-9._@+-]+$/;
const SECRET = /^[\x21-\x7e]+$/;

/**
 * What can be an access key id: 3 to 128 letters, digits and `._@+-`.
 *
 * @throws StorageError invalid-argument naming the field
 */
export function checkAccessKey(field: string, text: string): void {
  if (text.length < MIN_ACCESS_KEY || text.length > MAX_ACCESS_KEY)
    throw invalid(`${field}: an access key has ${MIN_ACCESS_KEY} to ${MAX_ACCESS_KEY} characters, not ${text.length}`);
  if (!ACCESS_KEY.test(text))
    throw invalid(`${field}: an access key has only letters, digits and . _ @ + - in it, as it is part of headers`);
}

/**
 * What can be a secret access key: 8 to 128 visible ASCII characters. The message never holds it.
 *
 * @throws StorageError invalid-argument naming the field
 */
export function checkSecretKey(field: string, text: string): void {
  if (text.length < MIN_SECRET || text.length > MAX_SECRET)
    throw invalid(`${field}: a secret key has ${MIN_SECRET} to ${MAX_SECRET} characters, not ${text.length}`);
  if (!SECRET.test(text)) throw invalid(`${field}: a secret key has only visible ASCII characters in it, and no space`);
}
