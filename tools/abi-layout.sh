#!/bin/sh
# Writes the body of ffi/tests/layout.c: a line for each struct and member of include/imagxp.h.
set -eu
awk '
    /^typedef struct imagxp_[a-z_]+ \{/ { type = $3; print "SIZE(" type ");"; next }
    /^\}/ { type = "" }
    type != "" && /;$/ {
        member = $NF
        gsub(/[*;]/, "", member)
        gsub(/\[[0-9]+\]/, "", member)
        print "FIELD(" type ", " member ");"
    }
' "$(dirname "$0")/../include/imagxp.h"
