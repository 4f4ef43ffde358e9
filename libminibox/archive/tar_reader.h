// SPDX-License-Identifier: Apache-2.0
// Reads tar archives: V7, ustar, GNU (long names, sparse, base-256), pax (global, local, sparse).
//
// Not libarchive's reader: that one hides the type flag (unknown types become files), cuts pax
// values at a NUL, and converts pax names by the process's locale, which changes the bytes of a
// decomposed Unicode name in a UTF-8 locale. Layers need names byte for byte and refusals (spec
// §11.2). Everything here is bounded: header extensions by 1 MiB, data by one buffer.
//
//   TarReader reader(source);
//   while (true) {
//     MBX_ASSIGN_OR_RETURN(bool more, reader.Next(entry));
//     if (!more) break;
//     ... reader.ReadData() until it yields an empty view
//   }
//   MBX_ASSIGN_OR_RETURN(Digest digest, reader.Finish());
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "archive/compression.h"
#include "archive/tar_entry.h"
#include "archive/tar_pax.h"
#include "core/sha256.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox::archive {

// Not thread-safe. Damage is kInvalidArgument "invalid_archive".
class TarReader {
 public:
  explicit TarReader(ReadFn source) : TarReader(std::move(source), /*hash=*/true) {}
  // Without `hash` somebody else does that, and Drain() takes the place of Finish().
  TarReader(ReadFn source, bool hash);

  // The next entry; what is left of the previous one's data is skipped. False: the end.
  StatusOr<bool> Next(TarEntry& entry);
  // The next stored bytes of the current entry, valid until the next call; empty: no more. Of a
  // sparse file only the extents' bytes are stored.
  StatusOr<std::string_view> ReadData();
  // Reads the source to its very end: the digest of all its bytes.
  StatusOr<Digest> Finish();
  Status Drain();
  uint64_t bytes_read() const { return total_; }

 private:
  // Extension headers in front of an entry's own.
  struct Extensions {
    std::optional<std::string> name, link;  // GNU
    std::optional<PaxRecords> pax;
  };

  Status Fill();
  // The next `size` bytes, at most one buffer; fewer at the end of the source.
  StatusOr<std::string_view> Peek(size_t size);
  Status SkipData();
  StatusOr<std::string_view> ReadBlock();
  StatusOr<std::string> ReadExtension(std::string_view header);
  Status ReadEntry(std::string_view header, const Extensions& extensions, TarEntry& entry);
  Status ReadGnuSparse(std::string header, TarEntry& entry);
  Status ReadPaxSparse(const PaxRecords& records, TarEntry& entry);
  Status ReadSparseMapFromData(TarEntry& entry);

  ReadFn source_;
  const bool hashes_;
  core::Sha256 hash_;
  std::vector<char> buffer_;
  size_t next_ = 0, end_ = 0;
  bool at_end_ = false, ended_ = false;
  uint64_t total_ = 0;
  uint64_t data_left_ = 0, padding_left_ = 0;
  PaxRecords globals_;
};

}  // namespace minibox::archive
