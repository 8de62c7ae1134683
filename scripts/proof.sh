# shellcheck shell=bash
# Promises, to the scripts that source it: the last report of a command that isn't part of `make test`
# is kept in the tree, if KEEP=1 asks for that.

# keep_report NAME FILE: what FILE says becomes docs/proof/NAME.txt, under a head that says of which
# commit and on what machine.
keep_report() {
  [ -n "${KEEP:-}" ] || return 0
  local commit
  commit=$(git rev-parse --short=12 HEAD)
  git diff --quiet HEAD -- . ':!docs/proof' || commit+=", with changes"
  mkdir -p docs/proof
  {
    echo "commit   $commit"
    echo "date     $(date -u +%Y-%m-%d)"
    echo "machine  $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), Linux $(uname -r | cut -d- -f1)"
    echo
    sed "s|$PWD/||g" "$2"
  } >"docs/proof/$1.txt"
  echo "kept in docs/proof/$1.txt"
}
