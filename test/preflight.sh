#!/usr/bin/env bash
# Makes sure that the system tools Granary drives are here. `preflight.sh bench` also wants fio; `preflight.sh objects`
# is for the object store, which drives none of them: its benchmark uses strace, and does without where it cannot be had.
# As root with apt-get it installs what is missing; otherwise it prints the one command to type.
set -euo pipefail
# A user's PATH on Debian has no sbin, where mkfs and losetup live.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

missing=()
packages=()
need() {
  local package=$1 program
  shift
  for program in "$@"; do
    if ! command -v "$program" >/dev/null; then
      missing+=("$program")
      [[ " ${packages[*]-} " == *" $package "* ]] || packages+=("$package")
    fi
  done
}

if [[ ${1-} == objects ]]; then
  need strace strace
else
  need xfsprogs mkfs.xfs xfs_growfs xfs_repair
  need e2fsprogs mkfs.ext4 e2fsck resize2fs filefrag
  need btrfs-progs mkfs.btrfs btrfs
  need util-linux fsfreeze blkid findmnt fallocate fstrim
  need mount mount umount losetup
  if [[ ${1-} == bench ]]; then need fio fio; fi
fi

if ((${#missing[@]} == 0)); then exit 0; fi

install="apt-get update && apt-get install -y --no-install-recommends ${packages[*]}"
if [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
  echo "preflight: ${missing[*]} not found; installing with apt-get: ${packages[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  if apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2; then
    hash -r
    for program in "${missing[@]}"; do
      command -v "$program" >/dev/null || {
        echo "preflight: $program is still missing after installing ${packages[*]}" >&2
        exit 1
      }
    done
    exit 0
  fi
  echo "preflight: apt-get failed; its messages are above. To try again, type: $install" >&2
  if [[ ${1-} == objects ]]; then exit 0; fi
  exit 1
fi

echo "preflight: ${missing[*]} not found. As root, type: $install" >&2
# Without root `npm test` leaves out every test that would run these tools (test/run.mjs counts them).
if [[ ${npm_lifecycle_event-} == pretest && $EUID -ne 0 ]]; then exit 0; fi
if [[ ${1-} == objects ]]; then exit 0; fi
exit 1
