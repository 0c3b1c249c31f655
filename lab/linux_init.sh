#!/bin/busybox sh
# Process 1 of the Linux guest. It writes blocks of 64 KiB to its first disk, past the
# page cache, reads each 16th back and says on the second serial port, as the boot-sector
# guest does on its first: B booted, v read back as written, E failed, M came back wrong.
# The kernel's command line says what to do:
#   lab.span=MiB to write over   lab.pause=seconds   lab.idle=1
#   lab.agent=1: run the guest agent, and write to a file on the disk's file system
#   lab.poweroff=seconds   lab.reboot=seconds (after the boot)
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
for module in /modules/*.ko; do [ -f "$module" ] && insmod "$module"; done

option() {
    for word in $(cat /proc/cmdline); do
        case $word in lab."$1"=*) echo "${word#*=}"; return ;; esac
    done
    echo "$2"
}

wait_for() {
    tries=0
    until ls $1 >/dev/null 2>&1 || [ $tries = 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
}
wait_for /dev/vda
disk=/dev/vda
if [ "$(option agent 0)" = 1 ]; then
    mkdir -p /data
    mount -t ext4 /dev/vda /data
    disk=/data/blocks
    wait_for "/dev/vport*p1"  # the first channel is port 1, of whichever device
    qemu-ga --method=virtio-serial --path="$(echo /dev/vport*p1)" --statedir=/run \
        --pidfile=/run/qemu-ga.pid &
fi
exec 3>/dev/ttyS1
printf B >&3

after() { [ "$1" = 0 ] || { sleep "$1"; "$2" -f; } & }
after "$(option poweroff 0)" poweroff
after "$(option reboot 0)" reboot
if [ "$(option idle 0)" = 1 ]; then while :; do sleep 3600; done; fi

places=$(($(option span 32) * 16))
pause=$(option pause 0)
head -c 65536 /dev/zero | tr '\0' x > /block
number=0
while :; do
    place=$((number % places))
    printf '%-31s\n' "$number" | dd of=/block conv=notrunc bs=32 2>/dev/null
    dd if=/block of=$disk bs=64k seek=$place count=1 conv=notrunc oflag=direct \
        2>/dev/null || printf E >&3
    if [ $((number % 16)) = 0 ]; then
        if ! dd if=$disk of=/copy bs=64k skip=$place count=1 iflag=direct \
            2>/dev/null; then printf E >&3
        elif cmp -s /block /copy; then printf v >&3
        else printf M >&3; fi
    fi
    number=$((number + 1))
    [ "$pause" = 0 ] || sleep "$pause"
done
