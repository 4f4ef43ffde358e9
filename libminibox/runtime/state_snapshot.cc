// SPDX-License-Identifier: Apache-2.0
#include "runtime/state_snapshot.h"

#include <chrono>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/container_dir.h"

namespace minibox::runtime {
namespace {

constexpr auto kDelay = std::chrono::milliseconds(250);

// Reads all records under a lock of its own, so that of two processes the later one writes
// what both have done.
Status WriteSnapshot(const store::DataRoot& root) {
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, root.LockKey("state.json"));
  MBX_ASSIGN_OR_RETURN(const std::vector<ContainerId> ids, ContainerDir::List(root));
  json::Writer out(2);
  out.BeginObject();
  for (const ContainerId& id : ids) {
    auto dir = ContainerDir::Open(root, id);
    if (!dir.ok()) continue;
    auto record = dir->ReadRecord();
    if (!record.ok()) continue;
    out.Key(id.ToString()).BeginObject();
    WriteContainerInfo(record->info, out);
    out.EndObject();
  }
  out.EndObject();
  return core::ReplaceFileAt(root.dir().fd(), "state.json", out.Take() + "\n");
}

}  // namespace

struct StateSnapshot::Impl {
  std::shared_ptr<store::DataRoot> root;
  core::EventLoop* loop;
  core::ThreadPool* pool;

  absl::Mutex mutex;
  bool due ABSL_GUARDED_BY(mutex) = false;
  bool closed ABSL_GUARDED_BY(mutex) = false;
  core::EventLoop::Id timer ABSL_GUARDED_BY(mutex) = 0;

  void Write() ABSL_LOCKS_EXCLUDED(mutex) {
    {
      const absl::MutexLock lock(&mutex);
      if (!due) return;
      due = false;
      timer = 0;
    }
    const Status written = WriteSnapshot(*root);
    if (!written.ok()) {
      core::LogWarning("runtime", core::StrCat(written.message(), ", state.json is out of date"));
    }
    const Status synced = root->events().Sync();
    if (!synced.ok()) core::LogWarning("runtime", core::StrCat(synced.message(), ", ignoring"));
  }
};

StateSnapshot::StateSnapshot(std::shared_ptr<store::DataRoot> root, core::EventLoop* loop,
                             core::ThreadPool* pool)
    : impl_(std::make_unique<Impl>()) {
  impl_->root = std::move(root);
  impl_->loop = loop;
  impl_->pool = pool;
}

StateSnapshot::~StateSnapshot() {
  Close();
  impl_->Write();
}

void StateSnapshot::Touch() {
  const absl::MutexLock lock(&impl_->mutex);
  impl_->due = true;
  if (impl_->closed || impl_->timer != 0) return;
  impl_->timer = impl_->loop->AddTimer(
      std::chrono::steady_clock::now() + kDelay,
      [impl = impl_.get()] { impl->pool->Submit([impl] { impl->Write(); }); });
}

void StateSnapshot::Close() {
  core::EventLoop::Id timer = 0;
  {
    const absl::MutexLock lock(&impl_->mutex);
    if (impl_->closed) return;
    impl_->closed = true;
    timer = impl_->timer;
  }
  // Without the mutex: Remove waits for a callback that runs.
  if (timer != 0) impl_->loop->Remove(timer);
}

}  // namespace minibox::runtime
