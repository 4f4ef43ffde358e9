// SPDX-License-Identifier: Apache-2.0
#include "archive/tar_writer.h"

#include <algorithm>

#include "archive/tar_format.h"
#include "archive/tar_pax.h"
#include "core/check.h"
#include "core/strings.h"

namespace minibox::archive {
namespace {

// The name of every extended header; nobody extracts one.
constexpr std::string_view kPaxName = "././@PaxHeader";

char TypeFlag(TarType type) {
  switch (type) {
    case TarType::kFile:
      return '0';
    case TarType::kHardLink:
      return '1';
    case TarType::kSymlink:
      return '2';
    case TarType::kCharDevice:
      return '3';
    case TarType::kBlockDevice:
      return '4';
    case TarType::kDirectory:
      return '5';
    case TarType::kFifo:
      return '6';
  }
  return '0';
}

void PutText(std::string& block, TarField field, std::string_view text) {
  block.replace(field.offset, std::min(text.size(), field.size), text.substr(0, field.size));
}

// Whether the value fits in octal digits and a final NUL.
bool Fits(TarField field, uint64_t value) { return value >> 3 * (field.size - 1) == 0; }

void PutNumber(std::string& block, TarField field, uint64_t value) {
  MBX_CHECK(Fits(field, value));
  for (size_t i = field.size - 1; i-- > 0; value >>= 3) {
    block[field.offset + i] = static_cast<char>('0' + (value & 7));
  }
}

// A number that goes into a record when it is too large for the header.
void PutNumber(std::string& block, TarField field, uint64_t value, std::string_view key,
               PaxRecords& records) {
  const bool fits = Fits(field, value);
  PutNumber(block, field, fits ? value : 0);
  if (!fits) records.emplace(key, core::StrCat(value));
}

void PutPath(std::string& block, const std::string& path, PaxRecords& records) {
  if (path.size() <= kTarName.size) return PutText(block, kTarName, path);
  // The first '/' that leaves a short enough name gives the shortest prefix.
  const size_t slash = path.find('/', path.size() - kTarName.size - 1);
  if (slash != std::string::npos && slash > 0 && slash <= kTarPrefix.size &&
      slash + 1 < path.size()) {
    PutText(block, kTarPrefix, std::string_view(path).substr(0, slash));
    return PutText(block, kTarName, std::string_view(path).substr(slash + 1));
  }
  PutText(block, kTarName, path);
  records.emplace("path", path);
}

void Seal(std::string& block, char type) {
  PutText(block, kTarMagic, kUstarMagic);
  block[kTarTypeFlag.offset] = type;
  std::fill_n(block.begin() + kTarChecksum.offset, kTarChecksum.size, ' ');
  uint64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  // Six digits, NUL, blank: as everybody writes it.
  PutNumber(block, {kTarChecksum.offset, kTarChecksum.size - 1}, sum);
  block[kTarChecksum.offset + kTarChecksum.size - 2] = '\0';
}

std::string EncodePax(const PaxRecords& records) {
  std::string content;
  for (const auto& [key, value] : records) content += FormatPaxRecord(key, value);
  std::string block(kTarBlock, '\0');
  PutText(block, kTarName, kPaxName);
  for (const TarField field : {kTarUid, kTarGid, kTarMtime, kTarMajor, kTarMinor}) {
    PutNumber(block, field, 0);
  }
  PutNumber(block, kTarMode, 0644);
  PutNumber(block, kTarSize, content.size());
  Seal(block, 'x');
  content.append(TarPadding(content.size()), '\0');
  return block + content;
}

}  // namespace

size_t TarPadding(uint64_t size) {
  return static_cast<size_t>((kTarBlock - size % kTarBlock) % kTarBlock);
}

std::string EncodeTarHeader(const TarEntry& entry) {
  PaxRecords records;
  std::string block(kTarBlock, '\0');
  std::string path = entry.path;
  if (entry.type == TarType::kDirectory && !path.ends_with('/')) path += '/';
  PutPath(block, path, records);
  PutText(block, kTarLink, entry.link);
  if (entry.link.size() > kTarLink.size) records.emplace("linkpath", entry.link);
  PutNumber(block, kTarMode, entry.mode);
  PutNumber(block, kTarUid, entry.uid, "uid", records);
  PutNumber(block, kTarGid, entry.gid, "gid", records);
  PutNumber(block, kTarSize, entry.type == TarType::kFile ? entry.size : 0, "size", records);
  const bool plain_time = entry.mtime >= 0 && entry.mtime_nsec == 0 &&
                          Fits(kTarMtime, static_cast<uint64_t>(entry.mtime));
  const bool whole_fits = entry.mtime >= 0 && Fits(kTarMtime, static_cast<uint64_t>(entry.mtime));
  PutNumber(block, kTarMtime, whole_fits ? static_cast<uint64_t>(entry.mtime) : 0);
  if (!plain_time) {
    records.emplace("mtime", FormatPaxTime({entry.mtime, entry.mtime_nsec}));
  }
  PutNumber(block, kTarMajor, entry.major);
  PutNumber(block, kTarMinor, entry.minor);
  for (const auto& [name, value] : entry.xattrs) {
    records.emplace(core::StrCat(kPaxXattr, name), value);
  }
  Seal(block, TypeFlag(entry.type));
  return records.empty() ? block : EncodePax(records) + block;
}

}  // namespace minibox::archive
