import tseslint from "typescript-eslint";

// Biome lints everything else; these two rules need types.
export default [
  { ignores: ["dist/**", "proto/gen/**", "node_modules/**", "bench/results/**"] },
  {
    files: ["{src,controller,node,objectstore,test}/**/*.ts"],
    plugins: { "@typescript-eslint": tseslint.plugin },
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
    },
  },
];
