#!/usr/bin/env bash
# An upload that takes longer than the 300 s which Node gives a request by itself, and a connection that is idle for longer
# than any client's pool keeps one. npm test has the same with seconds. Takes six minutes, of which it works none.
set -euo pipefail
cd "$(dirname "$0")/../.."

GRANARY_TEST_UPLOAD_S=345 GRANARY_TEST_IDLE_S=65 exec \
  node node_modules/vitest/vitest.mjs run test/s3/rules.test.ts -t "rule 14" --configLoader runner
