#!/bin/sh
# chroot.sh LOWER STORE FILES COMMAND...
# Runs COMMAND in a root directory whose writes go to STORE, over the read-only directory LOWER. FILES is a directory to copy
# in first, or empty. To be run in a mount namespace (and for /proc a process namespace) of its own: what it mounts ends with it.
set -eu
lower=$1 store=$2 files=$3
shift 3
mkdir -p "$store/upper" "$store/work" "$store/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$store/upper,workdir=$store/work" "$store/root"
cd "$store/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=0755 tmpfs run
mkdir -p run/sshd
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=0755 tmpfs dev
for device in null zero full random urandom tty; do
    : >"dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
[ -z "$files" ] || cp -R --preserve=mode --remove-destination "$files/." .
exec chroot . "$@"
