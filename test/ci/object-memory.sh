#!/usr/bin/env bash
# 64 uploads and 64 downloads of 1 GiB at once through one worker, under 512 MiB resident. npm test has the same with 32 MiB
# each. Needs root, 72 GiB of disk and some ten minutes; where there is less disk it says so and passes.
set -euo pipefail
cd "$(dirname "$0")/../.."

needed=72
free=$(df --output=avail -B1G "${TMPDIR:-/tmp}" | tail -n 1 | tr -d ' ')
if ((free < needed)); then
  echo "left out: 64 uploads and 64 downloads of 1 GiB take $needed GiB of disk, ${TMPDIR:-/tmp} has $free"
  exit 0
fi
GRANARY_TEST_BODY_MIB=1024 exec node node_modules/vitest/vitest.mjs run test/root/objects-memory.test.ts --configLoader runner
