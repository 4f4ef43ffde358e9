// SPDX-License-Identifier: Apache-2.0
#include "init/spec_codec.h"

#include <cstring>
#include <vector>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::init {
namespace {

static_assert(static_cast<int>(MountOp::Kind::kFile) ==
              static_cast<int>(PlannedMount::Kind::kFile));
static_assert(static_cast<int>(MountOp::Kind::kProc) ==
              static_cast<int>(PlannedMount::Kind::kProc));

static_assert(static_cast<int>(LaunchSpec::RootForm::kString) ==
              static_cast<int>(RootForm::kString));

template <typename T>
std::string_view BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

class Encoder {
 public:
  void Add(Tag tag, std::string_view bytes) {
    const RecordHeader header{tag, static_cast<uint32_t>(bytes.size())};
    out_.append(BytesOf(header)).append(bytes);
  }
  void AddString(Tag tag, std::string_view field, const std::string& text) {
    Add(tag, Terminated(field, text));
  }
  void AddStrings(Tag tag, std::string_view field, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) AddString(tag, field, text);
  }
  // With the NUL that ends it.
  std::string_view Terminated(std::string_view field, const std::string& text) {
    if (text.find('\0') != std::string::npos && status_.ok()) {
      status_ = core::InvalidArgument(field, "contains a NUL byte");
    }
    return {text.c_str(), text.size() + 1};
  }
  StatusOr<std::string> Take() {
    if (!status_.ok()) return status_;
    if (out_.size() > kMaxLaunchBytes) {
      return core::InvalidArgument("command", "command, environment and mounts are too long");
    }
    return std::move(out_);
  }

 private:
  std::string out_;
  Status status_;
};

ScalarRecord Scalars(const LaunchSpec& spec, const LaunchFdCounts& fds) {
  ScalarRecord s;
  // Padding is sent too.
  std::memset(static_cast<void*>(&s), 0, sizeof s);
  s.fds = fds;
  s.id_base = spec.id_base;
  s.id_count = spec.id_count;
  s.capabilities = spec.capabilities;
  s.ambient = spec.ambient;
  s.timeout_ms = spec.timeout_ms;
  s.log_max_bytes = spec.log_max_bytes;
  s.oom_score_adj = spec.oom_score_adj.value_or(0);
  s.log_max_files = spec.log_max_files;
  s.user_namespace = spec.user_namespace;
  s.new_network = spec.net == LaunchSpec::Net::kNew;
  s.read_only_root = spec.read_only_root;
  s.has_oom_score_adj = spec.oom_score_adj.has_value();
  s.no_new_privs = spec.no_new_privs;
  s.init = spec.init;
  s.log = spec.log;
  s.record_exit = spec.record_exit;
  s.merge_output = spec.merge_output;
  s.log_timestamps = spec.log_timestamps;
  s.tty = spec.tty;
  s.open_stdin = spec.open_stdin;
  s.detached = spec.detached;
  s.rows = spec.rows;
  s.cols = spec.cols;
  s.root_form = static_cast<uint8_t>(spec.root_form);
  return s;
}

Status Check(const LaunchSpec& spec, const LaunchFdCounts& fds) {
  if (spec.argv.empty() || spec.argv[0].empty()) {
    return core::Error(StatusCode::kInvalidArgument, "command_missing", "there is no command");
  }
  if (fds.exec_target != 0) return Status();
  if (spec.upper.empty() || spec.work.empty()) {
    return core::InvalidArgument("upper", "upper and work are needed");
  }
  for (const MountOp& mount : spec.mounts) {
    const bool received = mount.kind == MountOp::Kind::kBind || mount.kind == MountOp::Kind::kFile;
    if (received && (mount.fd_index < 0 || static_cast<uint32_t>(mount.fd_index) >= fds.binds)) {
      return core::InvalidArgument("mounts",
                                   core::StrCat("no descriptor for '", mount.target, "'"));
    }
  }
  return Status();
}

void AddMount(Encoder& encoder, const MountOp& mount) {
  const MountRecord record{.attributes = mount.attributes,
                           .propagation = mount.propagation,
                           .fd_index = mount.fd_index,
                           .kind = static_cast<uint8_t>(mount.kind),
                           .recursive = mount.recursive,
                           .id_mapped = mount.id_mapped,
                           .copy_up = mount.copy_up};
  encoder.Add(Tag::kMount, std::string(BytesOf(record))
                               .append(encoder.Terminated("mounts", mount.target))
                               .append(encoder.Terminated("mounts", mount.data)));
}

}  // namespace

StatusOr<std::string> EncodeLaunchSpec(const LaunchSpec& spec, const LaunchFdCounts& fds,
                                       std::string_view cgroup_path) {
  MBX_RETURN_IF_ERROR(Check(spec, fds));
  Encoder encoder;
  encoder.Add(Tag::kScalars, BytesOf(Scalars(spec, fds)));
  encoder.AddString(Tag::kId, "id", spec.id);
  encoder.AddString(Tag::kHostname, "hostname", spec.hostname);
  encoder.AddString(Tag::kCgroupPath, "cgroup", std::string(cgroup_path));
  encoder.AddStrings(Tag::kLower, "lowers", spec.lowers);
  encoder.AddString(Tag::kUpper, "upper", spec.upper);
  encoder.AddString(Tag::kWork, "work", spec.work);
  for (const MountOp& mount : spec.mounts) AddMount(encoder, mount);
  encoder.AddStrings(Tag::kMaskedPath, "masked_paths", spec.masked_paths);
  encoder.AddStrings(Tag::kReadOnlyPath, "read_only_paths", spec.read_only_paths);
  for (const auto& [key, value] : spec.sysctls) {
    encoder.Add(Tag::kSysctl, std::string(encoder.Terminated("sysctls", key))
                                  .append(encoder.Terminated("sysctls", value)));
  }
  for (const Rlimit& limit : spec.rlimits) {
    encoder.Add(Tag::kRlimit, BytesOf(RlimitRecord{.soft = limit.soft,
                                                   .hard = limit.hard,
                                                   .resource = limit.resource,
                                                   .best_effort = limit.best_effort}));
  }
  encoder.AddStrings(Tag::kArg, "command", spec.argv);
  encoder.AddStrings(Tag::kEnv, "env", spec.env);
  encoder.AddString(Tag::kWorkingDir, "workdir", spec.working_dir);
  encoder.AddString(Tag::kUser, "user", spec.user);
  if (!spec.seccomp_program.empty()) encoder.Add(Tag::kSeccomp, spec.seccomp_program);
  return encoder.Take();
}

}  // namespace minibox::init
