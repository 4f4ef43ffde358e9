// SPDX-License-Identifier: Apache-2.0
// What the parts of Compose share.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compose/project.h"
#include "core/fd.h"
#include "core/file_lock.h"
#include "minibox/compose.h"

namespace minibox::compose {

struct State {
  ComposeOptions options{};
  std::shared_ptr<ComposeBackend> backend{};
  Project project{};
};

inline constexpr char kProjectLabel[] = "minibox.project";
inline constexpr char kServiceLabel[] = "minibox.service";
inline constexpr char kHashLabel[] = "minibox.config-hash";
// Of containers that `run` makes beside the service's own.
inline constexpr char kOneOffLabel[] = "minibox.oneoff";

std::string_view LabelOf(const Labels& labels, const char* key);

// One event at a time.
class Reporter {
 public:
  explicit Reporter(const ComposeEventFn& events) : events_(events) {}
  void Report(ComposeEvent::Kind kind, std::string_view service, std::string_view id = {},
              std::string_view text = {});

 private:
  std::mutex mutex_;
  const ComposeEventFn& events_;
};

// Held while a project is changed.
StatusOr<core::FileLock> LockProject(const State& impl, std::stop_token stop);

// All containers of the project, by service, then id; one-offs too.
StatusOr<std::vector<ServiceStatus>> ListProject(const State& impl);
// The service's own container; null if there is none.
const ContainerInfo* FindOwn(const std::vector<ServiceStatus>& all, std::string_view service);
// Those of `services` (empty: all) in `all`. kNotFound "service_not_found" for a name that neither
// the file nor a container has.
StatusOr<std::vector<ServiceStatus>> Choose(const State& impl,
                                            const std::vector<ServiceStatus>& all,
                                            const std::vector<std::string>& services);

// What makes a container of the service what it is; `image`: the digest of its image.
StatusOr<std::string> ConfigHash(const Service& service, std::string_view image);

// `task` for each of `count`, several at once, each after those that `after` names for it. Returns
// when all have ended. A task runs whatever became of those before it.
void RunTasks(size_t count, const std::function<std::vector<size_t>(size_t)>& after,
              const std::function<void(size_t)>& task);

// The image of a service, built or pulled if it has to be.
StatusOr<ImageInfo> ProvideImage(const State& impl, const Service& service, bool build,
                                 Reporter& reporter, std::stop_token stop);
Status BuildService(const State& impl, const Service& service, bool no_cache, Reporter& reporter,
                    std::stop_token stop);
Status PullService(const State& impl, const Service& service, Reporter& reporter,
                   std::stop_token stop);

StopOptions StopWithin(std::optional<std::chrono::seconds> grace);

}  // namespace minibox::compose

struct minibox::Compose::Impl : minibox::compose::State {};
