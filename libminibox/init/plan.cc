// SPDX-License-Identifier: Apache-2.0
#include "init/plan.h"

#include <string.h>
#include <sys/mman.h>

namespace minibox::init {
namespace {

constexpr size_t kBlockSize = 64 * 1024;
constexpr size_t kAlignment = 16;

struct Record {
  Tag tag;
  const uint8_t* bytes;
  uint32_t size;
};

// Walks the records; stops with `broken` set at one that does not fit.
class Records {
 public:
  Records(const uint8_t* bytes, size_t size) : at_(bytes), left_(size) {}
  bool Next(Record* record) {
    if (left_ == 0) return false;
    RecordHeader header;
    if (left_ < sizeof header) return Break();
    memcpy(&header, at_, sizeof header);
    if (header.size > left_ - sizeof header) return Break();
    *record = {header.tag, at_ + sizeof header, header.size};
    at_ += sizeof header + header.size;
    left_ -= sizeof header + header.size;
    return true;
  }
  bool broken() const { return broken_; }

 private:
  bool Break() {
    broken_ = true;
    return false;
  }
  const uint8_t* at_;
  size_t left_;
  bool broken_ = false;
};

// Takes values off the front of a record.
class Fields {
 public:
  explicit Fields(const Record& record) : at_(record.bytes), left_(record.size) {}
  template <typename T>
  bool Take(T* value) {
    if (left_ < sizeof(T)) return false;
    memcpy(value, at_, sizeof(T));
    at_ += sizeof(T);
    left_ -= sizeof(T);
    return true;
  }
  bool Take(const char** text) {
    const void* end = memchr(at_, '\0', left_);
    if (end == nullptr) return false;
    *text = reinterpret_cast<const char*>(at_);
    const size_t size = static_cast<size_t>(static_cast<const uint8_t*>(end) - at_) + 1;
    at_ += size;
    left_ -= size;
    return true;
  }
  bool done() const { return left_ == 0; }

 private:
  const uint8_t* at_;
  size_t left_;
};

bool IsFlag(uint8_t value) { return value <= 1; }

bool TakeScalars(Fields& fields, Plan& plan) {
  ScalarRecord s;
  if (!fields.Take(&s)) return false;
  const uint8_t flags[] = {s.user_namespace,
                           s.new_network,
                           s.read_only_root,
                           s.init,
                           s.has_oom_score_adj,
                           s.no_new_privs,
                           s.log,
                           s.record_exit,
                           s.fds.data_root,
                           s.fds.run_dir,
                           s.fds.container_dir,
                           s.fds.capture,
                           s.fds.oom_events,
                           s.fds.cgroup_v2,
                           s.merge_output,
                           s.tty,
                           s.open_stdin,
                           s.fds.exec_target,
                           s.fds.exec_parent,
                           s.fds.exec_group,
                           s.fds.join,
                           s.fds.freezer,
                           s.detached};
  for (const uint8_t flag : flags) {
    if (!IsFlag(flag)) return false;
  }
  if (s.root_form > static_cast<uint8_t>(RootForm::kString)) return false;
  plan.root_form = static_cast<RootForm>(s.root_form);
  plan.fds = s.fds;
  plan.user_namespace = s.user_namespace != 0;
  plan.id_base = s.id_base;
  plan.id_count = s.id_count;
  plan.new_network = s.new_network != 0;
  plan.read_only_root = s.read_only_root != 0;
  plan.has_oom_score_adj = s.has_oom_score_adj != 0;
  plan.oom_score_adj = s.oom_score_adj;
  plan.capabilities = s.capabilities;
  plan.ambient = s.ambient;
  plan.no_new_privs = s.no_new_privs != 0;
  plan.init = s.init != 0;
  plan.timeout_ms = s.timeout_ms;
  plan.log_max_bytes = s.log_max_bytes;
  plan.log_max_files = s.log_max_files;
  plan.log = s.log != 0;
  plan.record_exit = s.record_exit != 0;
  plan.merge_output = s.merge_output != 0;
  plan.log_timestamps = s.log_timestamps != 0;
  plan.tty = s.tty != 0;
  plan.open_stdin = s.open_stdin != 0;
  plan.detached = s.detached != 0;
  plan.rows = s.rows;
  plan.cols = s.cols;
  return true;
}

bool TakeMount(Fields& fields, const Plan& plan, PlannedMount& mount) {
  MountRecord m;
  if (!fields.Take(&m) || !fields.Take(&mount.target) || !fields.Take(&mount.data)) return false;
  if (m.kind > static_cast<uint8_t>(PlannedMount::kLastKind)) return false;
  if (!IsFlag(m.recursive) || !IsFlag(m.id_mapped) || !IsFlag(m.copy_up)) return false;
  mount.kind = static_cast<PlannedMount::Kind>(m.kind);
  mount.recursive = m.recursive != 0;
  mount.id_mapped = m.id_mapped != 0;
  mount.copy_up = m.copy_up != 0;
  mount.attributes = m.attributes;
  mount.propagation = m.propagation;
  mount.fd_index = m.fd_index;
  if (!mount.is_received()) return true;
  return m.fd_index >= 0 && static_cast<uint32_t>(m.fd_index) < plan.fds.binds;
}

bool TakeRlimit(Fields& fields, PlannedRlimit& limit) {
  RlimitRecord r;
  if (!fields.Take(&r) || r.best_effort > 1) return false;
  limit = {r.resource, r.best_effort != 0, r.soft, r.hard};
  return true;
}

template <typename T>
T& Append(List<T>& list) {
  return list.data[list.size++];
}

bool TakeRecord(const Record& record, Plan& plan) {
  Fields fields(record);
  bool ok = false;
  switch (record.tag) {
    case Tag::kScalars:
      return true;  // taken before all others
    case Tag::kId:
      ok = fields.Take(&plan.id);
      break;
    case Tag::kHostname:
      ok = fields.Take(&plan.hostname);
      break;
    case Tag::kCgroupPath:
      ok = fields.Take(&plan.cgroup_path);
      break;
    case Tag::kLower:
      ok = fields.Take(&Append(plan.lowers));
      break;
    case Tag::kUpper:
      ok = fields.Take(&plan.upper);
      break;
    case Tag::kWork:
      ok = fields.Take(&plan.work);
      break;
    case Tag::kMount:
      ok = TakeMount(fields, plan, Append(plan.mounts));
      break;
    case Tag::kMaskedPath:
      ok = fields.Take(&Append(plan.masked_paths));
      break;
    case Tag::kReadOnlyPath:
      ok = fields.Take(&Append(plan.read_only_paths));
      break;
    case Tag::kSysctl: {
      PlannedSysctl& sysctl = Append(plan.sysctls);
      ok = fields.Take(&sysctl.key) && fields.Take(&sysctl.value);
      break;
    }
    case Tag::kRlimit:
      ok = TakeRlimit(fields, Append(plan.rlimits));
      break;
    case Tag::kArg:
      ok = fields.Take(&Append(plan.argv));
      break;
    case Tag::kEnv:
      ok = fields.Take(&Append(plan.env));
      break;
    case Tag::kWorkingDir:
      ok = fields.Take(&plan.working_dir);
      break;
    case Tag::kUser:
      ok = fields.Take(&plan.user);
      break;
    case Tag::kSeccomp:
      plan.seccomp = record.bytes;
      plan.seccomp_size = record.size;
      return true;
  }
  return ok && fields.done();
}

// Room for as many elements as there are records, and a null pointer behind the last, which
// execve wants after argv. The environment grows by HOME and USER.
struct Counts {
  uint32_t lowers = 0, mounts = 0, masked = 0, read_only = 0, sysctls = 0, rlimits = 0, args = 0,
           env = 0, scalars = 0;

  void Add(Tag tag) {
    switch (tag) {
      case Tag::kScalars:
        ++scalars;
        break;
      case Tag::kLower:
        ++lowers;
        break;
      case Tag::kMount:
        ++mounts;
        break;
      case Tag::kMaskedPath:
        ++masked;
        break;
      case Tag::kReadOnlyPath:
        ++read_only;
        break;
      case Tag::kSysctl:
        ++sysctls;
        break;
      case Tag::kRlimit:
        ++rlimits;
        break;
      case Tag::kArg:
        ++args;
        break;
      case Tag::kEnv:
        ++env;
        break;
      default:
        break;
    }
  }

  bool Reserve(Arena& arena, Plan& plan) const {
    constexpr uint32_t kExtraEnv = 2;
    return (plan.lowers.data = arena.New<const char*>(lowers)) != nullptr &&
           (plan.mounts.data = arena.New<PlannedMount>(mounts)) != nullptr &&
           (plan.masked_paths.data = arena.New<const char*>(masked)) != nullptr &&
           (plan.read_only_paths.data = arena.New<const char*>(read_only)) != nullptr &&
           (plan.sysctls.data = arena.New<PlannedSysctl>(sysctls)) != nullptr &&
           (plan.rlimits.data = arena.New<PlannedRlimit>(rlimits)) != nullptr &&
           (plan.argv.data = arena.New<const char*>(args + 1)) != nullptr &&
           (plan.env.data = arena.New<const char*>(env + kExtraEnv + 1)) != nullptr;
  }
};

}  // namespace

void* Arena::Allocate(size_t size) {
  if (size > SIZE_MAX - kBlockSize - kAlignment) return nullptr;
  size = (size + kAlignment - 1) & ~(kAlignment - 1);
  if (blocks_ == nullptr || size > blocks_->size - used_) {
    const size_t header = (sizeof(Block) + kAlignment - 1) & ~(kAlignment - 1);
    const size_t block_size = size + header > kBlockSize ? size + header : kBlockSize;
    void* memory =
        mmap(nullptr, block_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    auto* block = static_cast<Block*>(memory);
    *block = {blocks_, block_size};
    blocks_ = block;
    used_ = header;
  }
  void* result = reinterpret_cast<uint8_t*>(blocks_) + used_;
  used_ += size;
  return result;
}

void Arena::Release() {
  while (blocks_ != nullptr) {
    Block* block = blocks_;
    blocks_ = block->next;
    munmap(block, block->size);
  }
  used_ = 0;
}

bool DecodePlan(const uint8_t* bytes, size_t size, Arena& arena, Plan* plan, const char** why) {
  *plan = Plan{};
  plan->id = plan->hostname = plan->cgroup_path = plan->upper = plan->work = plan->user = "";
  plan->working_dir = "/";
  *why = "malformed launch message";
  Counts counts;
  Record record;
  Records first(bytes, size);
  bool have_scalars = false;
  while (first.Next(&record)) {
    counts.Add(record.tag);
    if (record.tag != Tag::kScalars) continue;
    Fields fields(record);
    if (!TakeScalars(fields, *plan) || !fields.done()) return false;
    have_scalars = true;
  }
  if (first.broken() || !have_scalars || counts.scalars != 1 || counts.args == 0) return false;
  if (!counts.Reserve(arena, *plan)) {
    *why = "out of memory";
    return false;
  }
  Records second(bytes, size);
  while (second.Next(&record)) {
    if (!TakeRecord(record, *plan)) return false;
  }
  return true;
}

}  // namespace minibox::init
