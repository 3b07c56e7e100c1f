#!/bin/bash
# docker_host.sh ROOT REPOSITORY: turns the namespaces that it is started in into a Debian host with Docker.
#
# ROOT is its file system, REPOSITORY is its /srv/otp. It has a network with the namespace "clients" and nothing else: no
# route leads out. It is 10.98.0.1 and fd98::1 there; 10.99.0.0/16 and fd99::/16 are addresses of clients. Its first process
# is dockerd, so all that runs on it ends with that.
set -eu
root=$1 repository=$2

mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mkdir -p srv/otp mnt/before
mount --bind "$repository" srv/otp
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
pivot_root . mnt/before
cd /
umount --lazy /mnt/before
hostname docker-host

ip netns add clients
ip link add clients type veth peer name eth0 netns clients
ip link set lo up
ip link set clients up
ip address add 10.98.0.1/24 dev clients
ip address add fd98::1/64 dev clients nodad
ip -n clients link set lo up
ip -n clients link set eth0 up
ip -n clients address add 10.98.0.2/24 dev eth0
ip -n clients address add fd98::2/64 dev eth0 nodad
ip -n clients route add local 10.99.0.0/16 dev lo
ip -n clients route add local fd99::/16 dev lo
ip route add 10.99.0.0/16 via 10.98.0.2
ip route add fd99::/16 via fd98::2

# A host that was killed left containers, which would start again with this one.
rm -rf /var/lib/docker/containers /var/lib/docker/network /var/lib/docker/volumes
exec dockerd
