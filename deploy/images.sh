#!/usr/bin/env bash
# Makes the images of the cluster and the lab from what the machine has; asks no registry.
# An image whose content did not change is not made again.
. "$(dirname "$0")/settings.sh"
PATH=$PATH:/usr/sbin:/sbin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$FERRULE_STATE/images"

# add TREE PROGRAM [PLACE]: a program with the libraries that it is linked to.
add() {
  local tree=$1 program=$2 place=${3:-/usr/bin/$(basename "$2")} library
  program=$(command -v "$program") || die "$2 is missing"
  install -D -m 755 "$(readlink -f "$program")" "$tree$place"
  strip --strip-debug "$tree$place" 2>/dev/null || true
  # A static program has no libraries to list.
  for library in $(ldd "$program" 2>/dev/null | grep -o '/[^ ]*' || true); do
    [ -e "$tree$library" ] || install -D -m 755 "$(readlink -f "$library")" "$tree$library"
  done
}

# base TREE: what every image has.
base() {
  mkdir -p "$1"/{bin,dev,etc,proc,root,run,sys,tmp,usr/bin,usr/sbin,var/lib,var/log}
  chmod 1777 "$1/tmp"
  printf 'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nnobody:x:65534:65534::/:/bin/false\n' >"$1/etc/passwd"
  printf 'root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n' >"$1/etc/group"
  printf 'hosts: files dns\n' >"$1/etc/nsswitch.conf"
  printf 'NAME=Ferrule\nID=ferrule\nPRETTY_NAME="Ferrule"\n' >"$1/etc/os-release"
}

# shell TREE: busybox under the names of its applets.
shell() {
  local applet
  add "$1" busybox /bin/busybox
  for applet in $("$1/bin/busybox" --list); do
    [ -e "$1/bin/$applet" ] || [ -e "$1/usr/bin/$applet" ] || [ -e "$1/usr/sbin/$applet" ] ||
      ln -s busybox "$1/bin/$applet"
  done
}

pack() { tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$1.tar" .; }

# image TREE NAME [CHANGE...]: imports a tree into Docker.
image() {
  local tree=$1 name=$2 hash change changes=()
  shift 2
  for change in "$@"; do changes+=(--change "$change"); done
  pack "$tree"
  hash=$({ sha256sum <"$tree.tar"; echo "$*"; } | sha256sum | cut -c1-32)
  if [ "$(docker image inspect -f '{{index .Config.Labels "content"}}' "$name" 2>/dev/null)" != "$hash" ]; then
    docker import "${changes[@]}" --change "LABEL content=$hash ferrule.project=$tag" "$tree.tar" "$name" >/dev/null
    echo "    made $name"
  fi
  rm -rf "$tree" "$tree.tar"
}

# lab TREE NAME [CHANGE...]: an archive that the nodes import when they start.
lab() {
  local tree=$1 name=$2 hash archive=$FERRULE_STATE/images/$2.tar change changes=()
  shift 2
  for change in "$@"; do changes+=(--change "$change"); done
  pack "$tree"
  hash=$({ sha256sum <"$tree.tar"; echo "$*"; } | sha256sum | cut -c1-32)
  if [ ! -s "$archive" ] || [ "$(cat "$archive.content" 2>/dev/null)" != "$hash" ]; then
    docker import "${changes[@]}" "$tree.tar" "ferrule.local/$name:latest" >/dev/null
    docker save -o "$archive.new" "ferrule.local/$name:latest"
    docker rmi "ferrule.local/$name:latest" >/dev/null
    chmod 644 "$archive.new"
    mv "$archive.new" "$archive"
    echo "$hash" >"$archive.content"
    echo "    made the lab image $name"
  fi
  rm -rf "$tree" "$tree.tar"
}

# nginx_tree TREE: Debian's nginx with the packages under it.
nginx_tree() {
  local tree=$1 packages=$FERRULE_STATE/packages/nginx package
  if [ ! -e "$packages/complete" ]; then
    mkdir -p "$packages"
    (cd "$packages" && apt-get download -q nginx nginx-common libc6 libcrypt1 libpcre2-8-0 libssl3 zlib1g \
      >/dev/null 2>"$work/nginx.log") || return 1
    touch "$packages/complete"
  fi
  for package in "$packages"/*.deb; do dpkg -x "$package" "$tree" || return 1; done
  rm -rf "$tree"/usr/share/{doc,man,locale,lintian} "$tree"/usr/lib/*/{gconv,engines-3} "$tree"/etc/nginx/modules-enabled/*
  mkdir -p "$tree"/var/log/nginx "$tree"/var/lib/nginx "$tree"/var/www/html "$tree"/run
  ln -sf /dev/stdout "$tree/var/log/nginx/access.log"
  ln -sf /dev/stderr "$tree/var/log/nginx/error.log"
  ln -sf /etc/nginx/sites-available/default "$tree/etc/nginx/sites-enabled/default"
  cp "$tree/usr/share/nginx/html/index.html" "$tree/var/www/html/index.html"
  sed -i '/\[::\]/d' "$tree/etc/nginx/sites-available/default"
}

if [ "$FERRULE_ETCD_IMAGE" = "$made_etcd" ]; then
  tree=$work/etcd; base "$tree"; add "$tree" etcd; add "$tree" etcdctl
  image "$tree" "$made_etcd" 'ENV ETCD_UNSUPPORTED_ARCH=arm64' 'CMD ["etcd"]'
fi
if [ "$FERRULE_CONTROL_PLANE_IMAGE" = "$made_control_plane" ]; then
  tree=$work/control-plane; base "$tree"
  for program in kube-apiserver kube-scheduler kube-controller-manager kubectl; do
    add "$tree" "$binaries/$program"
  done
  image "$tree" "$made_control_plane" 'ENV PATH=/usr/bin:/bin'
fi
if [ "$FERRULE_NODE_IMAGE" = "$made_node" ]; then
  tree=$work/node; base "$tree"
  for program in node-entrypoint cri-runtime kubelet kube-proxy network-agent node-dns; do
    add "$tree" "$binaries/$program"
  done
  add "$tree" "$binaries/ferrule-cni" /opt/cni/bin/ferrule-cni
  add "$tree" nft /usr/sbin/nft
  add "$tree" ip /usr/sbin/ip
  shell "$tree"
  mkdir -p "$tree/etc/cni/net.d" "$tree/var/lib/ferrule"
  image "$tree" "$made_node" 'ENV PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin' 'ENTRYPOINT ["/usr/bin/node-entrypoint"]'
fi

for program in echo-hname echo-ip; do
  tree=$work/$program; base "$tree"; shell "$tree"; add "$tree" "$binaries/$program"
  lab "$tree" "$program" 'ENV PATH=/usr/bin:/bin' "CMD [\"$program\"]" 'EXPOSE 80'
done
tree=$work/busybox; base "$tree"; shell "$tree"
lab "$tree" busybox 'ENV PATH=/usr/bin:/bin' 'CMD ["sh"]'
tree=$work/nginx; base "$tree"; shell "$tree"
if nginx_tree "$tree"; then
  lab "$tree" nginx 'ENV PATH=/usr/sbin:/usr/bin:/bin' 'CMD ["nginx", "-g", "daemon off;"]' 'EXPOSE 80'
else
  echo "    no lab image nginx: $(tail -1 "$work/nginx.log" 2>/dev/null || echo "Debian's package cannot be had")" >&2
fi
