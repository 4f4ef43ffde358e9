// SPDX-License-Identifier: Apache-2.0
// SHA-256 as a stream (OpenSSL's, which uses the CPU's instructions).
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

namespace minibox::core {

class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();
  void Update(std::string_view bytes);
  // 64 lower-case hex digits; the object starts over.
  std::string FinishHex();

  static std::string Hex(std::string_view bytes);

 private:
  void* context_;
};

}  // namespace minibox::core
