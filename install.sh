#!/bin/sh
# Installs hoopctl: from this checkout (the default inside one), or from a release archive whose
# SHA-256 you give. Needs no root, edits no shell files, and fails with the remedy.
set -eu

usage() {
  cat <<'TXT'
usage: install.sh [--prefix DIR] [--archive FILE --sha256 HEX] [--thin]

  --prefix DIR     where to install; default ~/.local (bin, share/man, completions below it)
  --archive FILE   install this release archive instead of building
  --sha256 HEX     the archive's checksum, from the release page; required with --archive
  --thin           build only the laptop's client, without the gateway
TXT
}

fail() {
  printf 'install.sh: %s\n' "$1" >&2
  printf 'next: %s\n' "$2" >&2
  exit 1
}

prefix=${HOME:-}/.local
archive=
sum=
features=
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) [ $# -ge 2 ] || fail "--prefix needs a folder" "install.sh --prefix /usr/local"; prefix=$2; shift 2 ;;
    --archive) [ $# -ge 2 ] || fail "--archive needs a file" "install.sh --help"; archive=$2; shift 2 ;;
    --sha256) [ $# -ge 2 ] || fail "--sha256 needs 64 hex digits" "install.sh --help"; sum=$2; shift 2 ;;
    --thin) features=--no-default-features; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; fail "unknown argument: $1" "install.sh --help" ;;
  esac
done
case $prefix in
  /*) ;;
  *) fail "the prefix must be an absolute path, got '$prefix'" "install.sh --prefix \"\$HOME/.local\"" ;;
esac

work=$(mktemp -d) || fail "no temporary folder can be made" "free some space, or set TMPDIR to a folder you can write"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

checksum() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum "$1" | cut -d' ' -f1
  elif command -v shasum >/dev/null 2>&1; then shasum -a 256 "$1" | cut -d' ' -f1
  else fail "neither sha256sum nor shasum is on this machine" "install coreutils, or perl for shasum"; fi
}

if [ -n "$archive" ]; then
  [ -n "$sum" ] || fail "an archive is only installed with its checksum" "install.sh --archive $archive --sha256 HEX"
  [ -r "$archive" ] || fail "$archive cannot be read" "check the path, or download the archive again"
  real=$(checksum "$archive")
  want=$(printf '%s' "$sum" | tr 'A-F' 'a-f')
  [ "$real" = "$want" ] || fail "the checksum of $archive is $real, not $want" "download the archive again, and compare with the release page"
  tar -xzf "$archive" -C "$work" || fail "$archive is not a gzipped tar archive" "download the archive again"
  from=$(find "$work" -type f -name hoopctl | head -n 1)
  [ -n "$from" ] || fail "there is no hoopctl in $archive" "take the archive for this machine from the release page"
  extras=$(dirname "$from")
else
  source=$(cd "$(dirname "$0")" && pwd)
  [ -f "$source/Cargo.toml" ] || fail "there is no checkout beside this script" "install.sh --archive FILE --sha256 HEX"
  command -v cargo >/dev/null 2>&1 || fail "no Rust toolchain (cargo) is on the PATH" "install Rust 1.95 or newer, or use --archive"
  command -v cc >/dev/null 2>&1 || fail "no C compiler (cc) is on the PATH" "install one (Debian: apt-get install gcc), or use --archive"
  # shellcheck disable=SC2086 # $features is one word or none
  (cd "$source" && cargo build --release --locked $features) || fail "the build failed" "read the compiler's first error above"
  from=${CARGO_TARGET_DIR:-$source/target}/release/hoopctl
  extras=$source
fi

put() { # mode, file, destination
  mkdir -p "$(dirname "$3")" || fail "$(dirname "$3") cannot be made" "install.sh --prefix DIR, with a folder you can write"
  cp "$2" "$3.new.$$" && chmod "$1" "$3.new.$$" && mv -f "$3.new.$$" "$3" ||
    fail "$3 cannot be written" "install.sh --prefix DIR, with a folder you can write"
}
put 755 "$from" "$prefix/bin/hoopctl"
[ ! -f "$extras/completions/hoopctl.bash" ] || put 644 "$extras/completions/hoopctl.bash" "$prefix/share/bash-completion/completions/hoopctl"
[ ! -f "$extras/completions/_hoopctl" ] || put 644 "$extras/completions/_hoopctl" "$prefix/share/zsh/site-functions/_hoopctl"
[ ! -f "$extras/completions/hoopctl.fish" ] || put 644 "$extras/completions/hoopctl.fish" "$prefix/share/fish/vendor_completions.d/hoopctl.fish"
for page in "$extras"/docs/man/*.1; do
  [ ! -f "$page" ] || put 644 "$page" "$prefix/share/man/man1/$(basename "$page")"
done

"$prefix/bin/hoopctl" --version >/dev/null || fail "the installed program does not run on this machine" "build it here: install.sh from a checkout"
printf 'installed %s: %s\n' "$("$prefix/bin/hoopctl" --version)" "$prefix/bin/hoopctl"
case ":${PATH:-}:" in
  *":$prefix/bin:"*) ;;
  *) printf 'note: %s is not on your PATH; add it, for example: export PATH="%s:$PATH"\n' "$prefix/bin" "$prefix/bin" ;;
esac
printf 'next: hoopctl demo\n'
