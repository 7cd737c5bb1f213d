import xxhash from "xxhash-wasm";

// WebAssembly is compiled once, before anything is read or written.
const { h64Raw } = await xxhash();

/** XXH64 of bytes that lie in the metadata: compared whenever they are read. */
export const xxh64 = (bytes: Uint8Array): bigint => h64Raw(bytes);
