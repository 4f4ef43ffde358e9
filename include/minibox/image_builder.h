// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/export.h"
#include "minibox/registry.h"
#include "minibox/runtime.h"
#include "minibox/store.h"

namespace minibox {
inline namespace v1 {

struct BuilderOptions {
  int max_parallel = 0;  // blocks built at once; 0: number of CPUs
  // Where bases that are not here are pulled from; without one they must be local.
  std::optional<Registry> registry{};
};

struct BuildOptions {
  std::string image{};              // name of the result
  std::vector<std::string> tags{};  // further names
  std::string file_text{};          // the MiniBox file itself
  std::filesystem::path context{};  // absolute path of the context directory
  std::map<std::string, std::string> args{};
  Labels labels{};
  std::string target{};  // block to build; empty: the last
  bool use_cache = true;
  // When bases come from the registry: "missing" here, "always" (what it has replaces what is
  // here, and it must answer), "never". Of archives, local names and digests nothing is asked
  // again.
  std::string pull = "missing";
  Platform platform{};               // of bases and image; default: the host's
  std::string compression = "gzip";  // of new layers; or "zstd"
  // For RUN --mount=type=secret, by id; at most 1 MiB each. In no layer, key, record or log.
  std::map<std::string, std::string> secrets{};
  // If a step fails, what it left becomes an image of this name, to look into; empty: nothing.
  std::string keep_failed{};
  std::string network = "bridge";  // of RUN: "bridge", "none", "host"
  int64_t source_date_epoch = 0;   // seconds
  Resources step_resources{};      // limits of each RUN
};

// A line for the user; text without line end, as specified in spec §8.8.
struct BuildEvent {
  std::string_view text;  // valid during the call only
};
// Called from library threads, never concurrently for one build. An error cancels.
using BuildEventFn = std::function<Status(const BuildEvent&)>;

struct Diagnostic {
  enum class Severity { kError, kWarning };
  Severity severity = Severity::kError;
  int line = 0, column = 0;  // 1-based; columns in code points
  std::string message{};
  // "MiniBox:<line>:<column>: <message>"
  MINIBOX_EXPORT std::string ToString() const;
};

// What a build would do.
struct BuildPlan {
  struct Step {
    std::string instruction{};
    int line = 0;
    std::string key{};    // of the cache; empty if it depends on what is not there yet
    bool cached = false;  // would be reused
  };
  struct Block {
    std::string name{};  // empty: a linear file
    int line = 0;
    int generation = 1;   // 1: depends on no block
    bool wanted = false;  // the target needs it, or is it
    bool cached = false;  // all of it
    std::string base{};   // as the file says; of the blocks below if it has none of its own
    std::string key{};    // of its last step
    std::vector<std::string> needs{}, build_needs{};
    std::vector<Step> steps{};
  };
  bool linear = false;
  std::string target{};
  std::vector<Block> blocks{};  // in file order
};

// Builds images from MiniBox files (spec §7-8). Thread-safe handle; builds that
// share instructions run each shared instruction once.
class MINIBOX_EXPORT ImageBuilder {
 public:
  static StatusOr<ImageBuilder> Create(Store store, Runtime runtime,
                                       const BuilderOptions& options = {});

  // Syntax and reference errors and warnings, all of them, in file order.
  static std::vector<Diagnostic> Check(std::string_view minibox_file);

  // What can be refused before a build begins: text, names, context, target.
  // kInvalidArgument "invalid_build_file", "invalid_reference", "invalid_context".
  Status Validate(const BuildOptions& options) const;

  // Validates, then says what Build() would do: nothing is run, fetched or changed. Contexts are
  // read, for the keys.
  StatusOr<BuildPlan> Plan(const BuildOptions& options, std::stop_token stop = {}) const;

  // Validates, then builds. `stop` kills running steps within a second, registers
  // nothing and keeps finished instructions for the next build.
  StatusOr<ImageInfo> Build(const BuildOptions& options, const BuildEventFn& events = {},
                            std::stop_token stop = {});

 private:
  struct Impl;
  explicit ImageBuilder(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace v1
}  // namespace minibox
