#!/bin/sh
# /init of the guest in kernel.test.ts: three disks of the imager (two by the agent, one by QEMU), a file
# system on each, and a load that knows what every
# file must hold. Words of the kernel command line: rounds=N.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
for module in $(cat /etc/modules); do insmod "$module"; done
for word in $(cat /proc/cmdline); do case "$word" in rounds=*) rounds=${word#rounds=} ;; esac; done
ip link set lo up
ip link set eth0 up
ip address add 10.77.0.11/24 dev eth0

# The agent's own way to attach, with all it does when the connection dies.
/agent keeper 0 ext4 10.77.0.1 &
/agent keeper 1 xfs 10.77.0.1 &
for n in 0 1; do until [ "$(cat /sys/block/nbd$n/size)" != 0 ]; do sleep 0.05; done; done
mkdir -p /ext4 /xfs /qemu
mount_all() {
  mount -t ext4 /dev/nbd0 /ext4 && mount -t xfs /dev/nbd1 /xfs && mount -t ext4 /dev/vda /qemu || echo "FAILED mount"
}
mount_all

# One file operation after another in the folder $1; the sums of what must be there in /sums.$2.
work() {
  cd "$1" || return
  i=0
  while [ $i -lt 24 ]; do
    i=$((i + 1))
    [ $i = 12 ] && echo "round $round half of $1"
    name=d$((i % 4))/f$i
    mkdir -p d$((i % 4))
    case $((i % 6)) in
      0) dd if=/dev/urandom of="$name" bs=4k count=$((1 + i * 3)) conv=fsync 2>/dev/null ;;
      1) dd if=/dev/urandom of="$name" bs=1000 count=$((7 * i)) 2>/dev/null ;;
      2) dd if=/dev/urandom of="$name" bs=4096 count=3 seek=$((i * 40)) 2>/dev/null ;;
      3) cat d*/f* 2>/dev/null | head -c 70000 >"$name" && mv "$name" "$name.new" && mv "$name.new" "$name" ;;
      4) echo "$i $(cat /proc/uptime)" >>"$name"; rm -f old; ln "$name" old ;;
      5) [ -f "$name" ] && truncate -s $((i * 777)) "$name" || ln -sf f1 "$name.link"; rm -rf d9; mkdir d9; echo x >d9/x ;;
    esac || echo "FAILED $1 $name"
  done
  rm -f d3/f3
  sync
  find . -type f | sort | xargs md5sum >/sums."$2"
}

check() { cd "$1" && md5sum -c /sums."$2" >/bad."$2" 2>&1 || { echo "FAILED $1"; grep -v OK /bad."$2"; }; cd /; }

round=0
while [ $round -lt "$rounds" ]; do
  round=$((round + 1))
  echo "round $round begins"
  work /ext4 0 &
  first=$!
  work /qemu 2 &
  second=$!
  work /xfs 1
  wait $first $second
  cd /
  echo 3 >/proc/sys/vm/drop_caches
  check /ext4 0
  check /xfs 1
  check /qemu 2
  echo "round $round ends: $(cat /sums.? | wc -l) files"
done
umount /ext4 /xfs /qemu || echo "FAILED umount"
mount_all
check /ext4 0
check /xfs 1
check /qemu 2
umount /ext4 /xfs /qemu
echo "guest ends"
poweroff -f
