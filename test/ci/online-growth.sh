#!/usr/bin/env bash
# Growing a mounted ext4 needs CAP_SYS_RESOURCE, which a container may lack: this does it in a virtual machine whose root
# is this machine's own, read-only. The tool that boots it is not part of the repository; without it nothing is tested,
# and that is said.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
tool=$(realpath -m "${GRANARY_NODE_VM:-../shared/tools/node-vm.sh}")

if [[ ! -x $tool ]]; then
  echo "online growth: left out, there is no $tool to boot a virtual machine with (GRANARY_NODE_VM names one)"
  exit 0
fi
[[ -e dist/src/main.js ]] || npm run -s build

name=granary-growth-$$
trap '"$tool" down "$name" >/dev/null 2>&1 || true' EXIT
"$tool" up "$name"
# The guest has a /tmp of its own, which would hide a checkout that lies in this machine's.
if [[ $root == /tmp/* ]]; then "$tool" run "$name" -- umount /tmp; fi
"$tool" run "$name" -- modprobe loop
"$tool" run "$name" -- "$(command -v node)" "$root/test/ci/online-growth.mjs" /run/granary-growth
