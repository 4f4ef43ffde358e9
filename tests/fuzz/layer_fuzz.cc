// SPDX-License-Identifier: Apache-2.0
// A layer is refused or unpacked, with nothing outside its root touched; what was unpacked makes
// a layer that unpacks and gives the same bytes again. Best run as root in a container.
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "archive/layer_apply.h"
#include "archive/layer_diff.h"
#include "core/check.h"
#include "core/file.h"
#include "core/root_dir.h"

namespace {

namespace archive = minibox::archive;
namespace core = minibox::core;
using minibox::Status;
using minibox::StatusOr;

constexpr size_t kMaxWritten = 16u << 20;  // sparse files may be any size

archive::ReadFn FromString(std::string_view bytes) {
  return [bytes](char* buffer, size_t size) mutable -> StatusOr<size_t> {
    const size_t count = std::min(size, bytes.size());
    std::copy_n(bytes.data(), count, buffer);
    bytes.remove_prefix(count);
    return count;
  };
}

core::RootDir MakeRoot(const core::RootDir& top, const char* name) {
  MBX_CHECK(top.MakeDir(name, 0755).ok());
  auto root = top.OpenDir(name);
  MBX_CHECK(root.ok());
  return *std::move(root);
}

StatusOr<std::string> Write(const core::RootDir& tree) {
  std::string tar;
  const auto diff = archive::WriteLayer(tree, [&](std::string_view bytes) {
    tar += bytes;
    return tar.size() <= kMaxWritten ? Status()
                                     : Status(minibox::StatusCode::kResourceExhausted, "too large");
  });
  if (!diff.ok()) return diff.status();
  return tar;
}

// No mutation would get past a checksum.
std::string WithGoodChecksums(std::string_view input) {
  constexpr size_t kBlock = 512, kMagic = 257, kField = 148, kDigits = 6;
  std::string tar(input);
  for (size_t block = 0; block + kBlock <= tar.size(); block += kBlock) {
    if (tar.compare(block + kMagic, 5, "ustar") != 0) continue;
    std::fill_n(tar.begin() + static_cast<ptrdiff_t>(block + kField), 8, ' ');
    unsigned sum = 0;
    for (size_t i = 0; i < kBlock; ++i) sum += static_cast<unsigned char>(tar[block + i]);
    for (size_t i = kDigits; i-- > 0; sum >>= 3) {
      tar[block + kField + i] = static_cast<char>('0' + (sum & 7));
    }
  }
  return tar;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const char* directory = std::getenv("TMPDIR");
  const auto scratch = core::TempDir::Create(directory != nullptr ? directory : "/tmp", "mbx-fuzz");
  MBX_CHECK(scratch.ok());
  const auto top = core::RootDir::Open(scratch->path());
  MBX_CHECK(top.ok());
  const core::RootDir first = MakeRoot(*top, "first");
  const std::string bytes =
      WithGoodChecksums(std::string_view(reinterpret_cast<const char*>(data), size));
  const auto applied = archive::ApplyLayer(archive::Decompress(FromString(bytes)), first,
                                           {.max_entries = 1000, .max_bytes = kMaxWritten});
  const auto names = top->List("");
  MBX_CHECK(names.ok() && names->size() == 1);
  if (!applied.ok()) {
    MBX_CHECK(!applied.status().message().empty());
    return 0;
  }
  const auto tar = Write(first);
  if (!tar.ok()) return 0;
  const core::RootDir second = MakeRoot(*top, "second");
  MBX_CHECK(archive::ApplyLayer(FromString(*tar), second).ok());
  const auto again = Write(second);
  MBX_CHECK(again.ok());
  MBX_CHECK(*again == *tar);
  return 0;
}
