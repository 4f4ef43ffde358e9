// SPDX-License-Identifier: Apache-2.0
#include "archive/tar_reader.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "archive/tar_format.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::archive {
namespace {

constexpr size_t kBufferBytes = 256u << 10;
constexpr uint64_t kMaxExtensionBytes = 1u << 20;
constexpr uint64_t kMaxFileSize = std::numeric_limits<int64_t>::max();
constexpr size_t kMaxNameInMessage = 256;

Status Refused(std::string_view why) {
  return core::Error(StatusCode::kInvalidArgument, "invalid_archive", core::StrCat("tar: ", why));
}

Status Refused(const TarEntry& entry, std::string_view why) {
  const std::string name = core::EscapeControl(entry.path.substr(0, kMaxNameInMessage));
  return core::Error(StatusCode::kInvalidArgument, "invalid_archive",
                     core::StrCat("entry '", name, "': ", why))
      .WithField(name);
}

std::string_view Raw(std::string_view block, TarField field) {
  return block.substr(field.offset, field.size);
}

// A field of text ends at its first NUL or with the field.
std::string_view Text(std::string_view block, TarField field) {
  const std::string_view raw = Raw(block, field);
  return raw.substr(0, raw.find('\0'));
}

// Octal digits between blanks, or GNU's base-256. An empty field is 0.
std::optional<int64_t> Number(std::string_view raw) {
  const auto first = static_cast<unsigned char>(raw.front());
  if ((first & 0x80) != 0) {
    // Two's complement; bit 7 of the first byte is the marker and bit 6 the sign.
    const bool negative = (first & 0x40) != 0;
    int64_t value = negative ? -1 : 0;
    for (size_t i = 0; i < raw.size(); ++i) {
      auto byte = static_cast<unsigned char>(raw[i]);
      if (i == 0) byte = negative ? byte : byte & 0x3f;
      if (value > (std::numeric_limits<int64_t>::max() >> 8) ||
          value < (std::numeric_limits<int64_t>::min() >> 8)) {
        return std::nullopt;
      }
      value = static_cast<int64_t>(static_cast<uint64_t>(value) << 8 | byte);
    }
    return value;
  }
  const auto is_blank = [](char c) { return c == ' ' || c == '\0'; };
  while (!raw.empty() && is_blank(raw.front())) raw.remove_prefix(1);
  const auto end = std::find_if(raw.begin(), raw.end(), is_blank);
  const std::string_view digits = raw.substr(0, static_cast<size_t>(end - raw.begin()));
  if (digits.empty()) return 0;
  int64_t value = 0;
  const char* last = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), last, value, 8);
  if (parsed.ec != std::errc() || parsed.ptr != last || value < 0) return std::nullopt;
  return value;
}

bool IsZero(std::string_view block) {
  return std::memcmp(block.data(), kTarZeros, block.size()) == 0;
}

// The sum of all bytes with the checksum's own as blanks; some old writers added signed chars.
bool HasGoodChecksum(std::string_view block) {
  const auto stored = Number(Raw(block, kTarChecksum));
  if (!stored.has_value()) return false;
  int64_t unsigned_sum = 0, signed_sum = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const bool own = i >= kTarChecksum.offset && i < kTarChecksum.offset + kTarChecksum.size;
    const char c = own ? ' ' : block[i];
    unsigned_sum += static_cast<unsigned char>(c);
    signed_sum += static_cast<signed char>(c);
  }
  return *stored == unsigned_sum || *stored == signed_sum;
}

uint64_t Padding(uint64_t size) { return (kTarBlock - size % kTarBlock) % kTarBlock; }

std::optional<TarType> TypeOf(char flag) {
  switch (flag) {
    case '\0':
    case '0':
    case '7':  // contiguous, for who has such files
    case 'S':  // GNU sparse
      return TarType::kFile;
    case '1':
      return TarType::kHardLink;
    case '2':
      return TarType::kSymlink;
    case '3':
      return TarType::kCharDevice;
    case '4':
      return TarType::kBlockDevice;
    case '5':
      return TarType::kDirectory;
    case '6':
      return TarType::kFifo;
    default:
      return std::nullopt;
  }
}

std::optional<uint64_t> PaxNumber(const PaxRecords& records, std::string_view key,
                                  uint64_t otherwise) {
  const auto found = records.find(key);
  if (found == records.end() || found->second.empty()) return otherwise;
  return core::ParseUint64(found->second);
}

Status ApplyPaxText(const PaxRecords& records, std::string_view key, TarEntry& entry,
                    std::string& field) {
  const auto found = records.find(key);
  if (found == records.end() || found->second.empty()) return {};
  if (found->second.find('\0') != std::string::npos) {
    return Refused(entry, core::StrCat(key, " holds a NUL"));
  }
  field = found->second;
  return {};
}

// Everything but what belongs to sparse files.
Status ApplyPax(const PaxRecords& records, TarEntry& entry, uint64_t& stored) {
  MBX_RETURN_IF_ERROR(ApplyPaxText(records, "path", entry, entry.path));
  MBX_RETURN_IF_ERROR(ApplyPaxText(records, "linkpath", entry, entry.link));
  const auto size = PaxNumber(records, "size", stored);
  const auto uid = PaxNumber(records, "uid", entry.uid);
  const auto gid = PaxNumber(records, "gid", entry.gid);
  if (!size.has_value() || !uid.has_value() || !gid.has_value()) {
    return Refused(entry, "bad number in pax extended header");
  }
  stored = *size;
  entry.uid = *uid;
  entry.gid = *gid;
  if (const auto mtime = records.find("mtime"); mtime != records.end() && !mtime->second.empty()) {
    const auto time = ParsePaxTime(mtime->second);
    if (!time.has_value()) return Refused(entry, "bad time in pax extended header");
    entry.mtime = time->seconds;
    entry.mtime_nsec = time->nanoseconds;
  }
  for (auto xattr = records.lower_bound(kPaxXattr);
       xattr != records.end() && xattr->first.starts_with(kPaxXattr); ++xattr) {
    entry.xattrs.emplace(xattr->first.substr(kPaxXattr.size()), xattr->second);
  }
  return {};
}

// Extents must be in order, apart, within the file, and as large as what is stored.
Status CheckExtents(const TarEntry& entry, uint64_t stored) {
  uint64_t position = 0, total = 0;
  for (const TarExtent& extent : entry.extents) {
    if (extent.offset < position || extent.offset > entry.size ||
        extent.size > entry.size - extent.offset) {
      return Refused(entry, "bad map of a sparse file");
    }
    position = extent.offset + extent.size;
    total += extent.size;
  }
  if (total != stored) return Refused(entry, "the map of a sparse file does not fit its data");
  return {};
}

Status ParseExtents(std::string_view map, TarEntry& entry) {
  if (map.empty()) return {};
  const auto numbers = core::StrSplit(map, ',');
  if (numbers.size() % 2 != 0) return Refused(entry, "bad map of a sparse file");
  for (size_t i = 0; i < numbers.size(); i += 2) {
    const auto offset = core::ParseUint64(numbers[i]), size = core::ParseUint64(numbers[i + 1]);
    if (!offset.has_value() || !size.has_value()) return Refused(entry, "bad map of a sparse file");
    entry.extents.push_back({*offset, *size});
  }
  return {};
}

// The basic fields of an entry's own header block.
Status ParseHeader(std::string_view block, TarEntry& entry, uint64_t& stored) {
  const bool gnu = Raw(block, kTarMagic) == kGnuMagic;
  const bool ustar = Raw(block, kTarMagic).starts_with("ustar") && !gnu;
  entry.path = Text(block, kTarName);
  if (const std::string_view prefix = Text(block, kTarPrefix); ustar && !prefix.empty()) {
    entry.path = core::StrCat(prefix, "/", entry.path);
  }
  entry.link = Text(block, kTarLink);
  const char flag = block[kTarTypeFlag.offset];
  const auto type = TypeOf(flag);
  if (!type.has_value()) {
    return Refused(entry, core::StrCat("unknown type '",
                                       core::EscapeControl(std::string_view(&flag, 1)), "'"));
  }
  entry.type = *type;
  const auto mode = Number(Raw(block, kTarMode)), uid = Number(Raw(block, kTarUid)),
             gid = Number(Raw(block, kTarGid)), size = Number(Raw(block, kTarSize)),
             mtime = Number(Raw(block, kTarMtime));
  if (!mode.has_value() || !uid.has_value() || !gid.has_value() || !size.has_value() ||
      !mtime.has_value() || *uid < 0 || *gid < 0 || *size < 0) {
    return Refused(entry, "bad number in the header");
  }
  entry.mode = static_cast<uint32_t>(*mode) & 07777;
  entry.uid = static_cast<uint64_t>(*uid);
  entry.gid = static_cast<uint64_t>(*gid);
  entry.mtime = *mtime;
  stored = static_cast<uint64_t>(*size);
  if (entry.type == TarType::kCharDevice || entry.type == TarType::kBlockDevice) {
    const auto major = Number(Raw(block, kTarMajor)), minor = Number(Raw(block, kTarMinor));
    // What the kernel's dev_t holds.
    if (!major.has_value() || !minor.has_value() || *major < 0 || *major >= 1 << 12 || *minor < 0 ||
        *minor >= 1 << 20) {
      return Refused(entry, "bad device number");
    }
    entry.major = static_cast<uint32_t>(*major);
    entry.minor = static_cast<uint32_t>(*minor);
  }
  return {};
}

}  // namespace

TarReader::TarReader(ReadFn source, bool hash)
    : source_(std::move(source)), hashes_(hash), buffer_(kBufferBytes) {}

Status TarReader::Fill() {
  if (next_ > 0) {
    std::copy(buffer_.begin() + static_cast<ptrdiff_t>(next_),
              buffer_.begin() + static_cast<ptrdiff_t>(end_), buffer_.begin());
    end_ -= next_;
    next_ = 0;
  }
  MBX_ASSIGN_OR_RETURN(const size_t count, source_(buffer_.data() + end_, buffer_.size() - end_));
  if (hashes_) hash_.Update(std::string_view(buffer_.data() + end_, count));
  end_ += count;
  total_ += count;
  at_end_ = count == 0;
  return {};
}

StatusOr<std::string_view> TarReader::Peek(size_t size) {
  while (end_ - next_ < size && !at_end_) MBX_RETURN_IF_ERROR(Fill());
  return std::string_view(buffer_.data() + next_, std::min(size, end_ - next_));
}

Status TarReader::SkipData() {
  uint64_t left = data_left_ + padding_left_;
  data_left_ = padding_left_ = 0;
  while (left > 0) {
    MBX_ASSIGN_OR_RETURN(const std::string_view bytes, Peek(1));
    if (bytes.empty()) return Refused("ends too early");
    const uint64_t count = std::min<uint64_t>(left, end_ - next_);
    next_ += count;
    left -= count;
  }
  return {};
}

// Empty: the source has ended.
StatusOr<std::string_view> TarReader::ReadBlock() {
  MBX_ASSIGN_OR_RETURN(const std::string_view block, Peek(kTarBlock));
  if (!block.empty() && block.size() < kTarBlock) return Refused("ends too early");
  next_ += block.size();
  return block;
}

StatusOr<std::string> TarReader::ReadExtension(std::string_view header) {
  const auto size = Number(Raw(header, kTarSize));
  if (!size.has_value() || *size < 0) return Refused("bad number in an extension header");
  if (static_cast<uint64_t>(*size) > kMaxExtensionBytes) {
    return Refused("an extension header exceeds 1 MiB");
  }
  data_left_ = static_cast<uint64_t>(*size);
  padding_left_ = Padding(data_left_);
  std::string content;
  while (data_left_ > 0) {
    MBX_ASSIGN_OR_RETURN(const std::string_view bytes, ReadData());
    content += bytes;
  }
  MBX_RETURN_IF_ERROR(SkipData());
  return content;
}

StatusOr<bool> TarReader::Next(TarEntry& entry) {
  MBX_RETURN_IF_ERROR(SkipData());
  if (ended_) return false;
  entry = TarEntry();
  Extensions extensions;
  while (true) {
    MBX_ASSIGN_OR_RETURN(const std::string_view block, ReadBlock());
    // An archive without end marker is complete if it stops between entries.
    if (block.empty() || IsZero(block)) {
      if (extensions.name.has_value() || extensions.link.has_value() ||
          extensions.pax.has_value()) {
        return Refused("ends after an extension header");
      }
      MBX_ASSIGN_OR_RETURN(const std::string_view second, ReadBlock());
      if (!IsZero(second)) return Refused("a single block of zeros between entries");
      ended_ = true;
      return false;
    }
    if (!HasGoodChecksum(block)) {
      return Refused(total_ <= buffer_.size() ? "not a tar archive, or damaged"
                                              : "wrong checksum of a header");
    }
    const char flag = block[kTarTypeFlag.offset];
    if (flag != 'x' && flag != 'g' && flag != 'L' && flag != 'K') {
      const std::string header(block);
      MBX_RETURN_IF_ERROR(ReadEntry(header, extensions, entry));
      return true;
    }
    MBX_ASSIGN_OR_RETURN(std::string content, ReadExtension(std::string(block)));
    if (flag == 'L' || flag == 'K') {
      const size_t end = content.find('\0');
      if (end != std::string::npos && content.find_first_not_of('\0', end) != std::string::npos) {
        return Refused("a long name holds a NUL");
      }
      content.resize(std::min(end, content.size()));
      auto& slot = flag == 'L' ? extensions.name : extensions.link;
      if (slot.has_value()) return Refused("two long names for one entry");
      slot = std::move(content);
      continue;
    }
    MBX_ASSIGN_OR_RETURN(PaxRecords records, ParsePaxRecords(content));
    if (flag == 'x') {
      if (extensions.pax.has_value()) return Refused("two pax headers for one entry");
      extensions.pax = std::move(records);
      continue;
    }
    size_t size = 0;
    for (auto& [key, value] : records) globals_.insert_or_assign(key, std::move(value));
    for (const auto& [key, value] : globals_) size += key.size() + value.size();
    if (size > kMaxExtensionBytes) return Refused("global extension headers exceed 1 MiB");
  }
}

Status TarReader::ReadEntry(std::string_view header, const Extensions& extensions,
                            TarEntry& entry) {
  uint64_t stored = 0;
  MBX_RETURN_IF_ERROR(ParseHeader(header, entry, stored));
  PaxRecords records = globals_;
  if (extensions.pax.has_value()) {
    for (const auto& [key, value] : *extensions.pax) records.insert_or_assign(key, value);
  }
  MBX_RETURN_IF_ERROR(ApplyPax(records, entry, stored));
  if (extensions.name.has_value()) entry.path = *extensions.name;
  if (extensions.link.has_value()) entry.link = *extensions.link;
  if (entry.type == TarType::kFile && header[kTarTypeFlag.offset] != 'S' &&
      entry.path.ends_with('/')) {
    entry.type = TarType::kDirectory;  // as V7 writes one
  }
  // Other types have no data whatever their size field says: hard links carry their target's.
  if (entry.type != TarType::kFile) return {};
  if (stored > kMaxFileSize) return Refused(entry, "too large");
  entry.size = data_left_ = stored;
  padding_left_ = Padding(stored);
  if (header[kTarTypeFlag.offset] == 'S') return ReadGnuSparse(std::string(header), entry);
  return ReadPaxSparse(records, entry);
}

Status TarReader::ReadGnuSparse(std::string header, TarEntry& entry) {
  const auto real = Number(Raw(header, kGnuRealSize));
  if (!real.has_value() || *real < 0) return Refused(entry, "bad number in the header");
  entry.sparse = true;
  entry.size = static_cast<uint64_t>(*real);
  std::string_view pairs = Raw(header, kGnuSparse);
  bool more = Raw(header, kGnuExtended)[0] != '\0';
  uint64_t map_bytes = 0;
  while (true) {
    for (size_t i = 0; i + kGnuSparsePair <= pairs.size(); i += kGnuSparsePair) {
      const std::string_view pair = pairs.substr(i, kGnuSparsePair);
      if (pair.front() == '\0') break;
      const auto offset = Number(pair.substr(0, 12)), size = Number(pair.substr(12));
      if (!offset.has_value() || !size.has_value() || *offset < 0 || *size < 0) {
        return Refused(entry, "bad map of a sparse file");
      }
      entry.extents.push_back({static_cast<uint64_t>(*offset), static_cast<uint64_t>(*size)});
    }
    if (!more) return CheckExtents(entry, data_left_);
    map_bytes += kTarBlock;
    if (map_bytes > kMaxExtensionBytes) return Refused(entry, "a sparse map exceeds 1 MiB");
    MBX_ASSIGN_OR_RETURN(const std::string_view block, ReadBlock());
    if (block.empty()) return Refused("ends too early");
    header = block;
    pairs = Raw(header, kGnuExtensionSparse);
    more = Raw(header, kGnuExtensionExtended)[0] != '\0';
  }
}

Status TarReader::ReadPaxSparse(const PaxRecords& records, TarEntry& entry) {
  const auto map = records.find("GNU.sparse.map");
  const auto major = PaxNumber(records, "GNU.sparse.major", 0);
  if (map == records.end() && major != 1u) {
    return major == 0u ? Status() : Refused(entry, "unknown format of a sparse file");
  }
  MBX_RETURN_IF_ERROR(ApplyPaxText(records, "GNU.sparse.name", entry, entry.path));
  const bool in_data = map == records.end();
  const auto real = PaxNumber(records, in_data ? "GNU.sparse.realsize" : "GNU.sparse.size",
                              std::numeric_limits<uint64_t>::max());
  if (!real.has_value() || *real > kMaxFileSize) return Refused(entry, "bad size of a sparse file");
  entry.sparse = true;
  entry.size = *real;
  if (in_data) {
    MBX_RETURN_IF_ERROR(ReadSparseMapFromData(entry));
  } else {
    MBX_RETURN_IF_ERROR(ParseExtents(map->second, entry));
  }
  return CheckExtents(entry, data_left_);
}

// Format 1.0: the stored content begins with the number of extents and their offsets and sizes,
// each on a line, filled up to a block.
Status TarReader::ReadSparseMapFromData(TarEntry& entry) {
  std::string text;
  auto next_number = [&, position = size_t{0}]() mutable -> StatusOr<uint64_t> {
    size_t end;
    while ((end = text.find('\n', position)) == std::string::npos) {
      if (data_left_ < kTarBlock || text.size() >= kMaxExtensionBytes) {
        return Refused(entry, "bad map of a sparse file");
      }
      MBX_ASSIGN_OR_RETURN(const std::string_view block, ReadBlock());
      if (block.empty()) return Refused("ends too early");
      data_left_ -= kTarBlock;
      text += block;
    }
    const auto number = core::ParseUint64(std::string_view(text).substr(position, end - position));
    if (!number.has_value()) return Refused(entry, "bad map of a sparse file");
    position = end + 1;
    return *number;
  };
  MBX_ASSIGN_OR_RETURN(const uint64_t count, next_number());
  for (uint64_t i = 0; i < count; ++i) {
    MBX_ASSIGN_OR_RETURN(const uint64_t offset, next_number());
    MBX_ASSIGN_OR_RETURN(const uint64_t size, next_number());
    entry.extents.push_back({offset, size});
  }
  return {};
}

StatusOr<std::string_view> TarReader::ReadData() {
  if (data_left_ == 0) return std::string_view();
  if (next_ == end_) MBX_RETURN_IF_ERROR(Fill());
  if (next_ == end_) return Refused("ends too early");
  const auto count = static_cast<size_t>(std::min<uint64_t>(data_left_, end_ - next_));
  const std::string_view bytes(buffer_.data() + next_, count);
  next_ += count;
  data_left_ -= count;
  return bytes;
}

Status TarReader::Drain() {
  next_ = end_ = 0;
  while (!at_end_) {
    MBX_RETURN_IF_ERROR(Fill());
    next_ = end_;
  }
  return {};
}

StatusOr<Digest> TarReader::Finish() {
  MBX_RETURN_IF_ERROR(Drain());
  return Digest::Parse(core::StrCat("sha256:", hash_.FinishHex()));
}

}  // namespace minibox::archive
