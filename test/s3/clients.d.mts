export interface S3Client {
  name: string;
  program: string | undefined;
  /** The file with the tests that need it, from the repository's root. */
  testFile: string;
}

export const CLIENTS: readonly S3Client[];
export function clientProgram(name: string): string;
