// SPDX-License-Identifier: Apache-2.0
// Compresses a stream in blocks of one size that do not depend on each other, so that several
// threads can work on it and the bytes are the same however many do.
#pragma once

#include <memory>

#include "archive/compression.h"

namespace minibox::archive {

// One gzip member: raw deflate blocks, each ended by an empty stored block as pigz does it.
std::unique_ptr<Compressor> MakeGzipCompressor(WriteFn sink, int threads);
// One frame for each block.
std::unique_ptr<Compressor> MakeZstdCompressor(WriteFn sink, int threads);

}  // namespace minibox::archive
