// SPDX-License-Identifier: Apache-2.0
#include "oci/digest.h"

#include <algorithm>

#include "core/check.h"
#include "core/errors.h"
#include "core/sha256.h"
#include "core/strings.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr std::string_view kAlgorithm = "sha256:";
constexpr size_t kHexDigits = 64;
constexpr size_t kMaxInMessage = 128;

bool IsLowerHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

StatusOr<Digest> Digest::Parse(std::string_view text) {
  const bool good = text.size() == kAlgorithm.size() + kHexDigits && text.starts_with(kAlgorithm) &&
                    std::all_of(text.begin() + kAlgorithm.size(), text.end(), IsLowerHex);
  if (!good) {
    return core::InvalidArgument(
        "digest", core::StrCat("'", core::EscapeControl(text.substr(0, kMaxInMessage)),
                               "' is not sha256: and 64 lower-case hex digits"));
  }
  return Digest(std::string(text));
}

std::string_view Digest::hex() const {
  return std::string_view(text_).substr(std::min(kAlgorithm.size(), text_.size()));
}

}  // namespace v1

namespace oci {

Digest DigestOf(std::string_view bytes) { return DigestFromHex(core::Sha256::Hex(bytes)); }

Digest DigestFromHex(std::string_view hex) {
  auto digest = Digest::Parse(core::StrCat(kAlgorithm, hex));
  MBX_CHECK(digest.ok());
  return *std::move(digest);
}

}  // namespace oci
}  // namespace minibox
