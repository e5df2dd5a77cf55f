#!/usr/bin/env bash
# qemu.sh: unpacks a QEMU that can be a vfio-user client (10.1 or newer) from Debian's development suite
# into a folder of its own, with the libraries it was built against; nothing of the system changes.
# Prints the wrapper that runs it. Does nothing where that runs already.
set -euo pipefail
. "$(dirname "$0")/where.sh"
suite=sid
target=$folder/qemu
wrapper=$target/qemu-vfio-user
knows() { "$wrapper" -device vfio-user-pci,help 2>/dev/null | grep -q 'socket='; }
if [ -x "$wrapper" ] && knows; then
  echo "$wrapper"
  exit
fi
need apt-get dpkg-deb
rm -f "$folder/qemu.absent"
mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
  sed -n 's/^Debian \(.*\/debian\)\/\?$/\1/p' | head -1)
[ -n "$mirror" ] || absent qemu "apt knows no Debian mirror (apt-get update?)"

work=$(mktemp -d "$folder/qemu.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{state/lists/partial,cache/archives/partial,root,none}
touch "$work/state/status" "$work/none/preferences"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] $mirror $suite main" >"$work/sources.list"
apt() { # an apt of its own: another suite, another status, nothing of the system's
  apt-get -q -o Dir::State="$work/state" -o Dir::State::status="$work/state/status" \
    -o Dir::Cache="$work/cache" -o Dir::Etc::sourcelist="$work/sources.list" \
    -o Dir::Etc::sourceparts="$work/none" -o Dir::Etc::preferences="$work/none/preferences" \
    -o Dir::Etc::preferencesparts="$work/none" -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@" >>"$work/log" 2>&1
}
apt update || absent qemu "no lists of $suite from the mirror: $(tail -1 "$work/log")"
apt -y --no-install-recommends --download-only install qemu-system-x86 ||
  absent qemu "the mirror's $suite gave no qemu-system-x86: $(tail -1 "$work/log")"
for package in "$work"/cache/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done
rm -rf "$target"
mv "$work/root" "$target"
cat >"$wrapper" <<'RUN'
#!/bin/sh
r=$(cd "$(dirname "$0")" && pwd)
l=$r/usr/lib/x86_64-linux-gnu
QEMU_MODULE_DIR=$l/qemu
export QEMU_MODULE_DIR
exec "$l/ld-linux-x86-64.so.2" --library-path "$l:$l/pulseaudio" "$r/usr/bin/qemu-system-x86_64" \
  -L "$r/usr/share/qemu" -L "$r/usr/share/seabios" -L "$r/usr/lib/ipxe/qemu" "$@"
RUN
chmod +x "$wrapper"
knows || {
  absent qemu "the QEMU of $suite does not run here as a vfio-user client: $("$wrapper" --version 2>&1 | head -1)"
}
echo "$wrapper"
