# shellcheck shell=bash
# Promises, to the scripts that source it: packages of Debian or Ubuntu are installed if they are
# missing, by sudo only if it has to be; or the script ends with one sentence that says what to do.

give_up() {
  echo "$1" >&2
  exit 69
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

missing() {
  local package
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null |
      grep --quiet --line-regexp installed || echo "$package"
  done
}

apt_install() {
  echo "installing: $*" >&2
  as_root apt-get update --quiet=2 &&
    as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install --quiet=2 --yes --no-install-recommends "$@" >&2
}

install_packages() {
  local lacking
  mapfile -t lacking < <(missing "$@")
  if [ "${#lacking[@]}" -gt 0 ] && ! apt_install "${lacking[@]}"; then
    give_up "could not install them; install these packages by hand and try again: ${lacking[*]}"
  fi
}

# The answer of Debian's invoke-rc.d and deb-systemd-invoke to a package that wants to start what it
# brings. The second line tells ours from an administrator's, also after a run that was killed.
policy=/usr/sbin/policy-rc.d
policy_mark='# of seckill, only while it installs'

# As install_packages, and no service is started by it, neither now nor when the machine starts. An
# administrator's policy is left in force.
install_without_starting() {
  (
    trap permit_starting EXIT
    forbid_starting
    before=$(enabled_services)
    install_packages "$@"
    for service in $(comm -13 <(echo "$before") <(enabled_services)); do
      as_root systemctl --quiet disable "$service" >&2
    done
  )
}

# Those that start with the machine. Without systemd none does, whatever packages have noted for it.
enabled_services() {
  local wanted=/etc/systemd/system/multi-user.target.wants
  if command -v systemctl >/dev/null && [ -d "$wanted" ]; then
    find "$wanted" -name '*.service' -printf '%f\n' | sort
  fi
}

forbid_starting() {
  permit_starting
  if [ -e "$policy" ]; then
    echo "$policy exists: it decides whether the packages start their services" >&2
  else
    # With noclobber the shell opens a file only if there is none.
    as_root sh -c 'set -C; printf "#!/bin/sh\n%s\nexit 101\n" "$2" >"$1" && chmod 755 "$1"' \
      sh "$policy" "$policy_mark"
  fi
}

permit_starting() {
  if [ "$(sed -n 2p "$policy" 2>/dev/null)" = "$policy_mark" ]; then
    as_root rm --force "$policy"
  fi
}
