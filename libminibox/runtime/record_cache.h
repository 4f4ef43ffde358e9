// SPDX-License-Identifier: Apache-2.0
// Records as they were read last, for questions about many containers at once.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "minibox/runtime.h"
#include "minibox/status.h"
#include "runtime/container_record.h"
#include "store/data_root.h"

namespace minibox::runtime {

// Thread-safe. Records of any process are seen at once: a record is replaced by another file, so
// that one fstatat tells whether the one that was read is still there.
class RecordCache {
 public:
  // What ContainerDir::ReadRecord says. `containers`: a descriptor of the directory of all.
  StatusOr<std::shared_ptr<const ContainerRecord>> Read(const store::DataRoot& root, int containers,
                                                        const ContainerId& id);
  // Whether <id>/exit.json is there.
  static bool HasExit(int containers, const ContainerId& id);
  // Forgets all others. `ids` are sorted.
  void Keep(const std::vector<ContainerId>& ids);

 private:
  struct Version {
    uint64_t device = 0, inode = 0, size = 0;
    int64_t changed_ns = 0;  // ctime
    bool operator==(const Version&) const = default;
  };
  struct Entry {
    Version version;
    std::shared_ptr<const ContainerRecord> record;
  };

  absl::Mutex mutex_;
  std::map<ContainerId, Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace minibox::runtime
