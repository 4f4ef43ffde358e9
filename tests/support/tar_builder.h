// SPDX-License-Identifier: Apache-2.0
// Tar archives made by hand, entry by entry, so that a test can say what no sane program would.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace minibox::testing {

struct TarHeader {
  std::string name{};
  char type = '0';
  std::string link{};
  std::string content{};
  unsigned mode = 0644;
  uint64_t uid = 0, gid = 0;
  int64_t mtime = 0;
  unsigned major = 0, minor = 0;
  std::string prefix{};
  std::string magic{
      "ustar\0"
      "00",
      8};
  // Written into the size field instead of content's size.
  int64_t size = -1;
  // Bytes put over the header at an offset, before the checksum is made.
  std::vector<std::pair<size_t, std::string>> patches{};
  bool bad_checksum = false;
};

class TarBuilder {
 public:
  using Records = std::vector<std::pair<std::string, std::string>>;

  TarBuilder& Add(const TarHeader& header);
  TarBuilder& File(std::string_view name, std::string_view content = "", unsigned mode = 0644);
  TarBuilder& Dir(std::string_view name, unsigned mode = 0755);
  TarBuilder& Symlink(std::string_view name, std::string_view target);
  TarBuilder& HardLink(std::string_view name, std::string_view target);
  // An extended header; type 'g' is a global one.
  TarBuilder& Pax(const Records& records, char type = 'x');
  // GNU: 'L' for the next entry's name, 'K' for its link.
  TarBuilder& Long(char type, std::string_view text);
  TarBuilder& Raw(std::string_view bytes);
  // With end marker. The builder is empty afterwards.
  std::string Take();
  std::string TakeWithoutEnd();

 private:
  std::string bytes_;
};

}  // namespace minibox::testing
