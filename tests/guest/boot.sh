#!/usr/bin/env bash
# boot.sh SCRATCH SCRIPT [QEMU ARGUMENT...]: boots Debian's kernel under QEMU (TCG) on the host's own
# file system, read-only below a RAM overlay, and runs SCRIPT there with $PYTHON. The console is
# stdout; the script's status is the line "VERDICT <n>" on it (QEMU's own says nothing), 99 when
# the guest did not come up. QMP listens on SCRATCH/qmp. Needs the packages named in .ci/packages.
# $QEMU is another QEMU than the system's, $KERNEL_OPTIONS go to the guest's kernel.
set -euo pipefail
scratch=$1 script=$2
shift 2
kernel=$(find /boot -name 'vmlinuz-*-amd64' ! -name '*cloud*' | sort -V | tail -1)
version=${kernel#/boot/vmlinuz-}
root=$scratch/root

mkdir -p "$root"/{bin,dev,proc,sys,below,ram,new,modules}
cp "$(command -v busybox)" "$root/bin/busybox"
modprobe -S "$version" --show-depends -a virtio_pci 9pnet_virtio 9p overlay virtio_rng |
  awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
  while read -r module; do
    cp "$module" "$root/modules/"
    basename "$module" >>"$root/modules/order"
  done
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
stop() { echo "VERDICT $1"; $b sync; $b poweroff -f; }
try() { "$@" || { echo "failed: $*"; stop 99; }; }
try $b mount -t proc proc /proc
try $b mount -t sysfs sysfs /sys
try $b mount -t devtmpfs dev /dev
echo 1 >/proc/sys/kernel/printk # the console belongs to the script
for m in $($b cat /modules/order); do try $b insmod /modules/$m; done
try $b mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 host /below
try $b mount -t tmpfs ram /ram
$b mkdir /ram/upper /ram/work
try $b mount -t overlay -o lowerdir=/below,upperdir=/ram/upper,workdir=/ram/work root /new
for d in proc sys dev; do try $b mount --move /$d /new/$d; done
$b mkdir -p /new/dev/shm
try $b mount -t tmpfs shm /new/dev/shm
try $b mount -t tmpfs run /new/run
exec $b switch_root /new /bin/bash -c '
  export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1
  word() { sed -n "s/.*guest_$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
  "$(word python)" "$(word script)"
  echo "VERDICT $?"
  busybox poweroff -f'
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$scratch/initramfs"

# The IOMMU must stand before the devices that it translates for. A busy host's timer ticks late, which
# the kernel's check at boot takes for a broken one.
exec "${QEMU:-qemu-system-x86_64}" -M q35 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 \
  -nodefaults -no-user-config -display none -serial stdio -no-reboot \
  -kernel "$kernel" -initrd "$scratch/initramfs" \
  -append "console=ttyS0 quiet panic=-1 no_timer_check intel_iommu=on \
guest_python=$PYTHON guest_script=$script ${KERNEL_OPTIONS:-}" \
  -qmp "unix:$scratch/qmp,server=on,wait=off" \
  -device intel-iommu,intremap=on,caching-mode=on \
  -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
  -device virtio-9p-pci,fsdev=host,mount_tag=host -device virtio-rng-pci \
  "$@" </dev/null
