// SPDX-License-Identifier: Apache-2.0
// An empty volume gets the content of the image's directory that it is mounted on (spec §12.4).
#pragma once

#include "init/protocol.h"

namespace minibox::init {

// Copies `target`, resolved inside `root`, into the directory `volume` if that is empty: ids,
// modes, times, extended attributes, links. Done once: what another process is filling is
// waited for, and what a crash has left half-filled is filled anew.
bool FillVolume(int root, const char* target, int volume, Failure& failure);

}  // namespace minibox::init
