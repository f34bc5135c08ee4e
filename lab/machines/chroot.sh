#!/bin/sh
# chroot.sh LOWER STORE FILES COMMAND...
# Run COMMAND in a root directory that consists of the read-only directory LOWER and, above it, STORE, which receives
# all writes. FILES is a directory whose content is copied in first, or empty. The caller runs it in separate mount and
# process namespaces: the end of the mount namespace removes all mounts, and /proc shows the process namespace.
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
