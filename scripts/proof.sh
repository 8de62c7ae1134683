# Sourced by the commands whose last report is kept in the tree. Not a command of its own.

# keep_report NAME FILE: with KEEP=1, what FILE says becomes docs/proof/NAME.txt, under a head that says
# of which commit and on what machine.
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
