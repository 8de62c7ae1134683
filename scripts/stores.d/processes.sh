# shellcheck shell=bash
# Promises, to the scripts that source it: one process a store, started in a session of its own,
# known by its recorded pid, and never mistaken for one that isn't ours. Expects to be in the root.

stores=$PWD/.stores
cache=${XDG_CACHE_HOME:-$HOME/.cache}/seckill
names=(redis mariadb kafka mysql)

# Debian's servers are in sbin, which only root has in its path.
PATH="$PATH:/usr/sbin:/sbin"

# One run at a time of this user: clones share the cache, and two runs of one clone its processes.
take_turn() {
  mkdir -p "$stores" "$cache"
  exec 9>"$cache/lock"
  flock --wait 900 9 || give_up "another run has kept $cache/lock for 15 minutes"
}

pid_of() {
  cat "$stores/$1/pid" 2>/dev/null
}

# Whether the recorded process lives and is still ours: each store has its directory on its command
# line. A pid alone may be somebody else's by now.
runs() {
  local pid
  pid=$(pid_of "$1") && [ -n "$pid" ] &&
    grep --quiet --text --fixed-strings "$stores/$1/" "/proc/$pid/cmdline" 2>/dev/null
}

# launch NAME COMMAND...: a Ctrl-C in this terminal doesn't reach it, and it doesn't keep our turn.
launch() {
  local name=$1
  shift
  setsid "$@" </dev/null >"$stores/$name/log" 2>&1 9>&- &
  echo $! >"$stores/$name/pid"
}

# await NAME SECONDS, until it answers on its port.
await() {
  local name=$1 pid
  pid=$(pid_of "$name")
  for _ in $(seq "$(($2 * 10))"); do
    if "${name}_answers" "$(port_of "$name")"; then
      return 0
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$stores/$name/log" >&2
  give_up "$name does not answer; its log is $stores/$name/log"
}

port_of() {
  cat "$stores/$1/port" 2>/dev/null
}

# The port that a store has had, while nobody else has it. Else a free one of 20000-20999, which
# the system gives to no client, and the tests to none of their own stores.
keep_port() {
  local port
  if port=$(port_of "$1") && is_free "$port"; then
    return 0
  fi
  while :; do
    port=$(shuf --input-range 20000-20999 --head-count 1)
    if is_free "$port" && ! grep --quiet --line-regexp "$port" "$stores"/*/port 2>/dev/null; then
      echo "$port" >"$stores/$1/port"
      return 0
    fi
  done
}

# Whether nobody listens there, by the kernel's tables: ports in hex, and 0A is LISTEN. What else has
# the port is the end of an old connection, which hinders no server.
is_free() {
  local tables=(/proc/net/tcp*)
  awk -v end=":$(printf '%04X' "$1")" '
    substr($2, length($2) - 4) == end && $4 == "0A" { taken = 1 }
    END { exit taken }' "${tables[@]}"
}
