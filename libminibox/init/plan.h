// SPDX-License-Identifier: Apache-2.0
// A LaunchSpec as minibox-init sees it: decoded in place from the launch message, whose bytes
// the strings point into. Compiled by both worlds: no standard library.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "init/protocol.h"

namespace minibox::init {

// Memory for decoded lists, given back at once. Zeroed.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { Release(); }
  // nullptr when there is no memory.
  void* Allocate(size_t size);
  template <typename T>
  T* New(size_t count = 1) {
    return count > SIZE_MAX / sizeof(T) ? nullptr : static_cast<T*>(Allocate(count * sizeof(T)));
  }
  void Release();

 private:
  struct Block {
    Block* next;
    size_t size;
  };
  Block* blocks_ = nullptr;
  size_t used_ = 0;
};

template <typename T>
struct List {
  T* data = nullptr;
  uint32_t size = 0;
  T* begin() const { return data; }
  T* end() const { return data + size; }
  T& operator[](uint32_t i) const { return data[i]; }
};

// As init::MountOp.
struct PlannedMount {
  enum class Kind : uint8_t {
    kProc,
    kSysfs,
    kCgroup,
    kDevpts,
    kMqueue,
    kTmpfs,
    kDev,
    kBind,
    kFile,
  };
  static constexpr Kind kLastKind = Kind::kFile;
  Kind kind;
  bool recursive, id_mapped, copy_up;
  int32_t fd_index;
  uint64_t attributes, propagation;
  const char* target;
  const char* data;

  // What is put on it comes from the monitor.
  bool is_received() const { return kind == Kind::kBind || kind == Kind::kFile; }
};

struct PlannedSysctl {
  const char* key;
  const char* value;
};

struct PlannedRlimit {
  int32_t resource;
  bool best_effort;
  uint64_t soft, hard;
};

// How the root is put together; all but kAuto only to test what older kernels need.
enum class RootForm : uint8_t { kAuto, kPaths, kString };

struct Plan {
  LaunchFdCounts fds;
  const char* id;
  const char* hostname;
  const char* cgroup_path;  // as in /proc/<pid>/cgroup once joined; empty: unknown
  bool user_namespace, new_network, read_only_root, merge_output;
  uint32_t id_base, id_count;
  RootForm root_form;
  List<const char*> lowers;
  const char* upper;
  const char* work;
  List<PlannedMount> mounts;
  List<const char*> masked_paths, read_only_paths;
  List<PlannedSysctl> sysctls;
  List<PlannedRlimit> rlimits;
  bool has_oom_score_adj;
  int32_t oom_score_adj;

  List<const char*> argv, env;
  const char* working_dir;
  const char* user;
  uint64_t capabilities, ambient;
  bool no_new_privs, init;
  bool tty, open_stdin, detached;
  uint16_t rows, cols;
  const uint8_t* seccomp;  // sock_filter array, not aligned
  uint32_t seccomp_size;   // in bytes

  uint64_t timeout_ms, log_max_bytes;
  bool log, record_exit, log_timestamps;
  int32_t log_max_files;
};

// Fills `plan`, whose strings stay in `bytes`. False if the bytes are not an encoded spec or
// memory is out; *why says which.
bool DecodePlan(const uint8_t* bytes, size_t size, Arena& arena, Plan* plan, const char** why);

// The encoding: records of a tag, a length and as many bytes, in any order; those of lists are
// repeated. Unknown tags are an error: both ends come from one build.
enum class Tag : uint32_t {
  kScalars = 1,  // ScalarRecord
  kId,           // strings end with NUL, which the length includes
  kHostname,
  kCgroupPath,
  kLower,
  kUpper,
  kWork,
  kMount,  // MountRecord, target, data
  kMaskedPath,
  kReadOnlyPath,
  kSysctl,  // key, value
  kRlimit,  // RlimitRecord
  kArg,
  kEnv,
  kWorkingDir,
  kUser,
  kSeccomp,
};

struct RecordHeader {
  Tag tag;
  uint32_t size;
};

struct ScalarRecord {
  LaunchFdCounts fds;
  uint32_t id_base, id_count;
  uint64_t capabilities, ambient, timeout_ms, log_max_bytes;
  int32_t oom_score_adj, log_max_files;
  uint8_t user_namespace, new_network, read_only_root, has_oom_score_adj;
  uint8_t no_new_privs, init, log, record_exit, root_form, merge_output, tty, open_stdin;
  uint16_t rows, cols;
  uint8_t detached, log_timestamps, reserved[2];
};

struct MountRecord {
  uint64_t attributes, propagation;
  int32_t fd_index;
  uint8_t kind, recursive, id_mapped, copy_up;
};

struct RlimitRecord {
  uint64_t soft, hard;
  int32_t resource;
  uint32_t best_effort;
};

}  // namespace minibox::init
