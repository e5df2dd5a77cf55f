#!/usr/bin/env bash
# switchtec_module.sh: builds Linux's own switchtec driver, which Debian's kernels leave out, from
# Debian's kernel source against the headers of the kernel that the guests boot. Prints the module.
# The driver's source stays outside the repository. Does nothing where the module is there already.
set -euo pipefail
. "$(dirname "$0")/where.sh"
kernel=$(find /boot -name 'vmlinuz-*-amd64' ! -name '*cloud*' | sort -V | tail -1)
version=${kernel#/boot/vmlinuz-}
[ -n "$version" ] || {
  echo "switchtec_module.sh: no Debian kernel in /boot (package linux-image-amd64)" >&2
  exit 1
}
module=$folder/switchtec-$version.ko
if [ -s "$module" ]; then
  echo "$module"
  exit
fi
need apt-get dpkg-deb make gcc tar xz
rm -f "$folder/switchtec.absent"
work=$(mktemp -d "$folder/switchtec.XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ ! -d "/lib/modules/$version/build" ]; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q -o Acquire::Retries=3 --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "linux-headers-$version" >"$work/log" 2>&1 ||
    absent switchtec "no headers of the kernel $version: $(tail -1 "$work/log")"
fi
source=linux-source-$(cut -d. -f1,2 <<<"$version")
(cd "$work" && apt-get download -q -o Acquire::Retries=3 -o APT::Sandbox::User=root "$source") >"$work/log" 2>&1 ||
  absent switchtec "the mirror gave no $source: $(tail -1 "$work/log")"
mkdir "$work/build"
# tar ends with the first match, and what feeds it with a broken pipe
set +o pipefail
dpkg-deb --fsys-tarfile "$work/$source"_*.deb 2>/dev/null |
  tar -xO --wildcards './usr/src/linux-source-*.tar.xz' 2>/dev/null |
  tar -xJO --occurrence=1 --wildcards '*/drivers/pci/switch/switchtec.c' >"$work/build/switchtec.c"
set -o pipefail
[ -s "$work/build/switchtec.c" ] || {
  echo "switchtec_module.sh: $source holds no drivers/pci/switch/switchtec.c" >&2
  exit 1
}
echo 'obj-m := switchtec.o' >"$work/build/Makefile"
make -C "/lib/modules/$version/build" M="$work/build" modules >"$work/log" 2>&1 || {
  tail -20 "$work/log" >&2
  echo "switchtec_module.sh: the driver of $source does not build against $version" >&2
  exit 1
}
mv "$work/build/switchtec.ko" "$module"
echo "$module"
