// SPDX-License-Identifier: Apache-2.0
// The flags of `run` and `create` and the request that they make (spec §15.2).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "wire/run_request.h"

namespace CLI {
class App;
}

namespace minibox::cli {

class RunFlags {
 public:
  // Options end at the first argument, which is the image. `run`: also -d, --rm and the like.
  void AddTo(CLI::App& command, bool run);
  // kInvalidArgument: wrong usage. `arguments`: the image and what follows it.
  StatusOr<wire::RunRequest> Request(const std::vector<std::string>& arguments) const;

  const std::string& cidfile() const { return cidfile_; }
  const std::string& detach_keys() const { return detach_keys_; }
  const std::string& pull() const { return pull_; }  // "missing", "always", "never"
  const std::string& platform() const { return platform_; }

 private:
  Status ReadResources(Resources* out) const;
  Status ReadMounts(std::vector<Mount>* out) const;
  Status ReadPolicies(ContainerSpec* out) const;
  Status ReadEnvironment(std::vector<std::string>* out) const;

  bool detach_ = false, interactive_ = false, tty_ = false, remove_ = false, init_ = true,
       privileged_ = false, read_only_ = false;
  std::string detach_keys_ = "ctrl-p,ctrl-q", on_disconnect_, memory_, memory_swap_, cpus_, cpuset_;
  int64_t cpu_ = 0, io_weight_ = 0, pids_limit_ = 0;
  std::optional<int64_t> oom_score_adj_, stop_timeout_;
  std::vector<std::string> ulimits_, publish_, dns_, hosts_, volumes_, mounts_, tmpfs_;
  std::string network_, ip_, mac_, shm_size_;
  std::vector<std::string> env_, env_files_, labels_;
  std::string user_, workdir_, name_, hostname_, project_;
  std::optional<std::string> entrypoint_;
  std::string stop_signal_, timeout_, seccomp_, userns_, cidfile_;
  std::string pull_ = "missing", platform_;
  std::vector<std::string> cap_add_, cap_drop_, sysctls_;
  bool db_mode_ = false;
  std::vector<std::string> devices_;
  bool publish_all_ = false, log_timestamps_ = false, no_healthcheck_ = false;
  std::string restart_, log_max_size_;
  std::optional<int64_t> log_max_files_, health_retries_;
  std::string health_cmd_, health_interval_, health_timeout_, health_start_period_;
};

// "512" (MiB), "512m", "2g", "1048576k", "536870912b" -> bytes, rounded up to MiB.
StatusOr<int64_t> ParseMemory(std::string_view text);
// "1.5" cores -> microseconds per 100 ms; "-1" stays.
StatusOr<int64_t> ParseCpus(const std::string& text);
// "K=V" pairs; `what` names the flag in errors.
Status AddPairs(const std::vector<std::string>& pairs, std::string_view what,
                std::map<std::string, std::string>* out);
// "-v" and "--mount" of one mount.
StatusOr<Mount> ParseVolume(std::string_view text);
StatusOr<Mount> ParseMount(std::string_view text);

}  // namespace minibox::cli
