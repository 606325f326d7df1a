#!/bin/sh
# Puts the sources of Mbed TLS 3.6 into FOLDER/tree: Debian 13's, with Debian's patches, downloaded by the machine's own apt
# (its mirror and proxy), which checks their signatures; lists and status are of their own, so that nothing of the machine
# is touched. What is there is used as it is: remove FOLDER to get newer ones.
set -eu
folder=$1
[ ! -e "$folder/tree" ] || exit 0
work=$folder/work.$$
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
uris=$(apt-get indextargets --format '$(REPO_URI)' | sort -u)
mirror() { printf '%s\n' "$uris" | grep "/$1/\$" | head -n 1 | grep . || echo "http://deb.debian.org/$1/"; }
signed=signed-by=/usr/share/keyrings/debian-archive-keyring.gpg
cat > "$work/sources.list" <<EOF
deb-src [$signed] $(mirror debian) trixie main
deb-src [$signed] $(mirror debian-security) trixie-security main
EOF
cat > "$work/apt.conf" <<EOF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Sandbox::User "root";
Acquire::Languages { "none"; };
Acquire::Retries "3";
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::Lists "$work/lists";
Dir::Cache "$work/cache";
EOF
apt-get -qq -c "$work/apt.conf" update --error-on=any
cd "$work"
apt-get -qq -c "$work/apt.conf" source --download-only mbedtls
dpkg-source --no-check -x ./*.dsc tree > /dev/null
grep -q 'MBEDTLS_VERSION_STRING  *"3\.6\.' tree/include/mbedtls/build_info.h ||
  { echo "Debian's mbedtls is no longer 3.6" >&2; exit 1; }
# What has its name is never looked at again: after a power cut it must not be a folder of empty files.
sync --file-system tree
mv tree "$folder/tree"
