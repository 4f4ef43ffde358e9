// SPDX-License-Identifier: Apache-2.0
// Headers of tar entries: ustar, and pax records for what does not fit (spec §8.7). Pure.
//
// Not libarchive's writer: it puts names through the process's locale, splits and pads by rules
// of its version, and adds records of its own beside SCHILY.xattr, so the bytes would depend on
// where and with which package they were made.
#pragma once

#include <string>

#include "archive/tar_entry.h"

namespace minibox::archive {

// The blocks in front of the entry's data: an extended header if one is needed, then its own.
// A directory's path ends with '/' in the archive whether or not it does in `entry`. Sparse
// files are not written.
std::string EncodeTarHeader(const TarEntry& entry);

// How many zeros follow `size` bytes of data.
size_t TarPadding(uint64_t size);

}  // namespace minibox::archive
