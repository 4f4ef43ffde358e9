// SPDX-License-Identifier: Apache-2.0
#include "support/tar_builder.h"

#include <cstdio>

namespace minibox::testing {
namespace {

constexpr size_t kBlock = 512;

void Put(std::string& block, size_t offset, std::string_view text, size_t size) {
  block.replace(offset, std::min(text.size(), size), text.substr(0, size));
}

void PutOctal(std::string& block, size_t offset, uint64_t value, int digits) {
  char text[32];
  snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
  Put(block, offset, text, static_cast<size_t>(digits));
}

void Pad(std::string& bytes) { bytes.append((kBlock - bytes.size() % kBlock) % kBlock, '\0'); }

}  // namespace

TarBuilder& TarBuilder::Add(const TarHeader& header) {
  std::string block(kBlock, '\0');
  Put(block, 0, header.name, 100);
  PutOctal(block, 100, header.mode, 7);
  PutOctal(block, 108, header.uid, 7);
  PutOctal(block, 116, header.gid, 7);
  PutOctal(block, 124,
           header.size >= 0 ? static_cast<uint64_t>(header.size) : header.content.size(), 11);
  PutOctal(block, 136, static_cast<uint64_t>(header.mtime), 11);
  block[156] = header.type;
  Put(block, 157, header.link, 100);
  Put(block, 257, header.magic, 8);
  PutOctal(block, 329, header.major, 7);
  PutOctal(block, 337, header.minor, 7);
  Put(block, 345, header.prefix, 155);
  for (const auto& [offset, text] : header.patches) Put(block, offset, text, kBlock - offset);
  Put(block, 148, "        ", 8);
  unsigned sum = header.bad_checksum ? 1 : 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  PutOctal(block, 148, sum, 6);
  block[154] = '\0';
  bytes_ += block;
  bytes_ += header.content;
  Pad(bytes_);
  return *this;
}

TarBuilder& TarBuilder::File(std::string_view name, std::string_view content, unsigned mode) {
  return Add({.name = std::string(name), .content = std::string(content), .mode = mode});
}

TarBuilder& TarBuilder::Dir(std::string_view name, unsigned mode) {
  return Add({.name = std::string(name), .type = '5', .mode = mode});
}

TarBuilder& TarBuilder::Symlink(std::string_view name, std::string_view target) {
  return Add({.name = std::string(name), .type = '2', .link = std::string(target)});
}

TarBuilder& TarBuilder::HardLink(std::string_view name, std::string_view target) {
  return Add({.name = std::string(name), .type = '1', .link = std::string(target)});
}

TarBuilder& TarBuilder::Pax(const Records& records, char type) {
  std::string content;
  for (const auto& [key, value] : records) {
    const size_t rest = key.size() + value.size() + 3;
    size_t length = rest + 1;
    while (std::to_string(length).size() + rest != length) ++length;
    content += std::to_string(length) + " " + key + "=" + value + "\n";
  }
  return Add({.name = "pax", .type = type, .content = content});
}

TarBuilder& TarBuilder::Long(char type, std::string_view text) {
  return Add({.name = "././@LongLink",
              .type = type,
              .content = std::string(text) + '\0',
              .magic = std::string("ustar  \0", 8)});
}

TarBuilder& TarBuilder::Raw(std::string_view bytes) {
  bytes_ += bytes;
  return *this;
}

std::string TarBuilder::Take() {
  bytes_.append(2 * kBlock, '\0');
  return TakeWithoutEnd();
}

std::string TarBuilder::TakeWithoutEnd() { return std::exchange(bytes_, std::string()); }

}  // namespace minibox::testing
