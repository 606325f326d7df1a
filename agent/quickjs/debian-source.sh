#!/bin/sh
# debian-source.sh FOLDER PACKAGE VERSION: puts the sources of Debian 13's PACKAGE, which is to begin with VERSION, into
# FOLDER/tree, with Debian's patches, downloaded by the machine's own apt (its mirror and proxy), which checks their
# signatures; lists and status are of their own, so that nothing of the machine is touched. What is there is used as it
# is: remove FOLDER to get newer ones.
set -eu
folder=$1 package=$2 version=$3
[ ! -e "$folder/tree" ] || exit 0
work=$folder/work.$$
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
known=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' | sort -u)
mirror() {
  printf '%s\n' "$known" | sed -n "s| $1\$||p" | head -n 1 | grep . ||
    { echo "apt knows no mirror with the release $1 on this machine (see sources.list(5))" >&2; exit 1; }
}
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
debian=$(mirror "$release")
security=$(mirror "$release-security")
signed=signed-by=/usr/share/keyrings/debian-archive-keyring.gpg
cat > "$work/sources.list" <<EOF
deb-src [$signed] $debian trixie main
deb-src [$signed] $security trixie-security main
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
apt-get -qq -c "$work/apt.conf" source --download-only "$package"
dpkg-source --no-check -x ./*.dsc tree > /dev/null
grep -q "^Version: $version" ./*.dsc || { echo "Debian's $package is no longer $version" >&2; exit 1; }
# What has its name is never looked at again: after a power cut it must not be a folder of empty files.
sync --file-system tree
mv tree "$folder/tree"
