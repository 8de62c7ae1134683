# shellcheck shell=bash
# Promises: how MySQL 9 is started and asked: its defaults in what applications notice, small, and
# durable. The one store that may be missing. root has no password, as in MariaDB.

debian_keys=/usr/share/keyrings/debian-archive-keyring.gpg

mysql_root() {
  echo "$cache/mysql-9"
}

mysql_launch() {
  local data=$stores/mysql/data
  local run=(scripts/stores.d/run-mysql "$(mysql_root)" --datadir="$data"
    --secure-file-priv=NULL --innodb-redo-log-capacity=16M)
  if [ ! -e "$stores/mysql/is-initialized" ]; then
    rm -rf "$data"
    "${run[@]}" --initialize-insecure >"$stores/mysql/log" 2>&1 9>&- ||
      give_up "MySQL can't initialize its data: $stores/mysql/log"
    touch "$stores/mysql/is-initialized"
  fi
  # Without its performance schema and the X protocol it needs half of the memory.
  launch mysql "${run[@]}" --bind-address=127.0.0.1 --port="$1" --socket=socket \
    --pid-file=mysqld.pid --mysqlx=OFF --performance-schema=OFF --skip-log-bin \
    --max-connections=500 --innodb-buffer-pool-size=64M
}

# MariaDB's client speaks to both.
mysql_answers() {
  mariadb_answers "$1"
}
