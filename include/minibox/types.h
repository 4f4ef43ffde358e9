// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/export.h"
#include "minibox/status.h"

namespace minibox {
inline namespace v1 {

using Labels = std::map<std::string, std::string>;
using TimePoint = std::chrono::system_clock::time_point;

// "sha256:<64 hex>". Only Parse() makes one, so holding one proves it is safe to
// use as a file name.
class MINIBOX_EXPORT Digest {
 public:
  static StatusOr<Digest> Parse(std::string_view text);
  const std::string& ToString() const { return text_; }
  std::string_view hex() const;
  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  explicit Digest(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// "[registry/]repository[:tag][@digest]", parsed and normalised as in spec §3. Only
// Parse() makes one. Names that only the local grammar permits (upper case) have an
// empty registry.
class MINIBOX_EXPORT ImageRef {
 public:
  // kInvalidArgument "invalid_reference".
  static StatusOr<ImageRef> Parse(std::string_view text);
  const std::string& registry() const { return registry_; }
  const std::string& repository() const { return repository_; }
  const std::string& tag() const { return tag_; }        // "latest" if neither was given
  const std::string& digest() const { return digest_; }  // "sha256:…" or empty
  bool is_local() const { return registry_.empty(); }
  // Normalised: "docker.io/library/alpine:latest".
  std::string ToString() const;
  // As written, without default registry and "library/": "alpine".
  const std::string& Shown() const { return shown_; }

 private:
  ImageRef() = default;
  std::string registry_, repository_, tag_, digest_, shown_;
};

// 8 lower-case hex digits. Only Parse() and Runtime::Create() make one.
class MINIBOX_EXPORT ContainerId {
 public:
  static StatusOr<ContainerId> Parse(std::string_view text);
  const std::string& ToString() const { return text_; }
  friend auto operator<=>(const ContainerId&, const ContainerId&) = default;

 private:
  explicit ContainerId(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

struct Platform {
  std::string os = "linux";
  std::string architecture{};  // empty: the host's
  std::string variant{};
};

// One step of progress of a long operation (pull, push, load, unpack).
struct Progress {
  enum class Phase { kResolving, kTransferring, kVerifying, kUnpacking, kDone };
  Phase phase = Phase::kResolving;
  std::string subject{};  // digest or file the step is about
  uint64_t done = 0;
  uint64_t total = 0;  // 0: unknown
};
// Called from library threads, never concurrently for one operation.
using ProgressFn = std::function<void(const Progress&)>;

}  // namespace v1
}  // namespace minibox
