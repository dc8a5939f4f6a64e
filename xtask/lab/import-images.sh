# Puts /images.tar into the containerd store of this container, the way kubelet will look for it.
containerd >/tmp/containerd.log 2>&1 &
daemon=$!
tries=0
until ctr version >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ $tries -lt 120 ] || { tail -20 /tmp/containerd.log >&2; exit 1; }
  sleep 0.5
done
ctr -n k8s.io images import --no-unpack /images.tar >/dev/null
kill $daemon
wait $daemon || true
rm -f /tmp/containerd.log
