// SPDX-License-Identifier: Apache-2.0
// The 512-byte header block of POSIX.1-1988 (ustar) and GNU tar.
#pragma once

#include <array>
#include <cstddef>

namespace minibox::archive {

inline constexpr size_t kTarBlock = 512;
inline constexpr char kTarZeros[kTarBlock] = {};

// Offset and length of a header field.
struct TarField {
  size_t offset, size;
};
inline constexpr TarField kTarName{0, 100}, kTarMode{100, 8}, kTarUid{108, 8}, kTarGid{116, 8},
    kTarSize{124, 12}, kTarMtime{136, 12}, kTarChecksum{148, 8}, kTarTypeFlag{156, 1},
    kTarLink{157, 100}, kTarMagic{257, 8}, kTarMajor{329, 8}, kTarMinor{337, 8},
    kTarPrefix{345, 155};
// GNU's own use of the prefix field in the old sparse format.
inline constexpr TarField kGnuSparse{386, 96}, kGnuExtended{482, 1}, kGnuRealSize{483, 12},
    kGnuExtensionSparse{0, 504}, kGnuExtensionExtended{504, 1};
inline constexpr size_t kGnuSparsePair = 24;

inline constexpr std::string_view kUstarMagic{
    "ustar\0"
    "00",
    8};
inline constexpr std::string_view kGnuMagic{"ustar  \0", 8};

inline constexpr std::string_view kPaxXattr = "SCHILY.xattr.";

}  // namespace minibox::archive
