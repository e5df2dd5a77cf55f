# Sourced by the guests' recipes: where what they provide is kept, and how one says that it cannot be had.
# $folder/QEMU-FOLDER and $folder/switchtec-KERNEL.ko are what the tests look for; a part that cannot be
# had leaves NAME.absent with the reason instead, which the tests skip with. Anything else that goes
# wrong is an error of this recipe, and the tests fail where CI demands them.
folder=${FABCORE_GUEST:-${XDG_CACHE_HOME:-$HOME/.cache}/fabcore/guest}
mkdir -p "$folder"

# absent NAME REASON: the part cannot be had here. Not a failure.
absent() {
  echo "$2" >"$folder/$1.absent"
  echo "$1: not to be had here: $2"
  exit 0
}

# need TOOL...: names what is missing, in one line.
need() {
  local lacking=()
  for tool in "$@"; do command -v "$tool" >/dev/null || lacking+=("$tool"); done
  [ ${#lacking[@]} -eq 0 ] && return
  echo "$(basename "$0"): needs ${lacking[*]} (packages: .ci/packages)" >&2
  exit 1
}
