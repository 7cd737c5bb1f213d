#!/usr/bin/env bash
# What a person would type to have an ext4 volume mounted in a pod's folder: the tools alone, one after the other.
#   bare-tools.sh up   FOLDER STAGING TARGET SIZE_BYTES [RECORDS]
#   bare-tools.sh down FOLDER STAGING TARGET [RECORDS]
# It holds the same promises on disk as the driver's image does (file, its folder and the folder above are synced), the
# same loop device options and the same mkfs options. Neither blkid nor e2fsck: the driver runs neither on an image that
# has no block yet and on a file system that it made itself a moment ago.
# It does not hold what only a driver needs: the registry's commits, the intent and format records, the proof that the
# device is this volume's and reads as blank, and the answer over a socket. The ratio shows what those cost.
# With RECORDS, a folder, it also keeps a note of each step that the driver keeps one of, as durably as a shell can: what
# a script would need that must not lose or double a volume when it is killed.
set -euo pipefail
action=$1 folder=$2 staging=$3 target=$4

# A durable note: written beside, synced, moved into its place, and the folder synced.
note() {
  [[ -n $records ]] || return 0
  printf '%s\n' "$2" >"$records/$1.tmp"
  sync "$records/$1.tmp"
  mv "$records/$1.tmp" "$records/$1"
  sync "$records"
}

up() {
  local size=$1 device
  note volume "to be made"
  mkdir "$folder"
  truncate --size "$size" "$folder/image"
  sync "$folder/image" "$folder" "${folder%/*}"
  note volume "made"
  note volume "published"
  device=$(losetup --find --show --direct-io=on --sector-size 4096 "$folder/image")
  note format "to be made"
  mkfs.ext4 -F -q -U "$(</proc/sys/kernel/random/uuid)" -E lazy_itable_init=1,lazy_journal_init=1,nodiscard "$device"
  note format "made"
  note node "staged"
  mkdir -p "$staging" "$target"
  mount -t ext4 "$device" "$staging"
  note node "published"
  mount --bind "$staging" "$target"
}

down() {
  local device
  umount "$target"
  rmdir "$target"
  note node "staged"
  umount "$staging"
  device=$(losetup --noheadings --output NAME --associated "$folder/image")
  losetup --detach "$device"
  note node "none"
  note volume "unpublished"
  note volume "to be deleted"
  rm -r "$folder"
  sync "${folder%/*}"
  note volume "none"
}

case $action in
  up)
    records=${6-}
    up "$5"
    ;;
  down)
    records=${5-}
    down
    ;;
  *)
    echo "bare-tools: up or down, not $action" >&2
    exit 2
    ;;
esac
