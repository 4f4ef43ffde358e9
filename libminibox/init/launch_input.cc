// SPDX-License-Identifier: Apache-2.0
#include "init/launch_input.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "init/channel.h"
#include "init/failing.h"

namespace minibox::init {
namespace {

bool FailMessage(Failure& failure, const char* why) {
  MessageText message;
  message << why;
  return FailWith(failure, FailureKind::kStartFailed, 0, "", message);
}

// Hands out the descriptors in the order of LaunchFdCounts.
class FdList {
 public:
  FdList(const int* fds, uint32_t count) : fds_(fds), left_(count) {}
  int One(uint8_t present) { return present != 0 && left_ > 0 ? (--left_, *fds_++) : -1; }
  const int* Many(uint32_t count) {
    if (count > left_) count = left_;
    const int* first = fds_;
    fds_ += count;
    left_ -= count;
    return first;
  }

 private:
  const int* fds_;
  uint32_t left_;
};

uint64_t Sum(const LaunchFdCounts& fds) {
  return uint64_t{fds.data_root} + fds.container_dir + fds.run_dir + fds.capture + fds.oom_events +
         fds.cgroup_v2 + fds.exec_target + fds.exec_parent + fds.exec_group + fds.join +
         fds.freezer + fds.cgroup_tasks + fds.binds + fds.held;
}

void CloseAll(const int* fds, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) close(fds[i]);
}

}  // namespace

bool ReceiveLaunch(int control, Message type, LaunchInput* input, Failure& failure) {
  Packet packet;
  LaunchHeader header{};
  uint8_t* bytes = nullptr;
  int* fds = nullptr;
  uint32_t have_bytes = 0, have_fds = 0;
  bool first = true;
  while (first || have_bytes < header.bytes || have_fds < header.fds) {
    if (ReceiveMessage(control, packet) != Received::kMessage || packet.type != type) {
      return FailMessage(failure, "no launch message");
    }
    uint32_t skip = 0;
    if (first) {
      const auto* begin = packet.As<LaunchHeader>();
      if (begin == nullptr || begin->version != kProtocolVersion ||
          begin->bytes > kMaxLaunchBytes || begin->fds > kMaxLaunchFds) {
        return FailMessage(failure, "malformed launch message");
      }
      header = *begin;
      skip = sizeof header;
      void* memory = mmap(nullptr, header.bytes + 1, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      fds = input->arena.New<int>(header.fds);
      if (memory == MAP_FAILED || fds == nullptr) return FailMessage(failure, "out of memory");
      bytes = static_cast<uint8_t*>(memory);
      input->message = memory;
      input->message_size = header.bytes + 1;
      first = false;
    }
    const uint32_t size = packet.size - skip;
    if (size > header.bytes - have_bytes || packet.fd_count > header.fds - have_fds) {
      return FailMessage(failure, "malformed launch message");
    }
    memcpy(bytes + have_bytes, packet.payload + skip, size);
    memcpy(fds + have_fds, packet.fds, packet.fd_count * sizeof(int));
    have_bytes += size;
    have_fds += packet.fd_count;
  }
  const char* why = "";
  if (!DecodePlan(bytes, header.bytes, input->arena, &input->plan, &why)) {
    return FailMessage(failure, why);
  }
  const LaunchFdCounts& counts = input->plan.fds;
  if (Sum(counts) != header.fds) return FailMessage(failure, "malformed launch message");
  FdList list(fds, header.fds);
  input->data_root = list.One(counts.data_root);
  input->container_dir = list.One(counts.container_dir);
  input->run_dir = list.One(counts.run_dir);
  input->capture = list.One(counts.capture);
  input->oom_events = list.One(counts.oom_events);
  input->cgroup_v2 = list.One(counts.cgroup_v2);
  input->exec_target = list.One(counts.exec_target);
  input->exec_parent = list.One(counts.exec_parent);
  input->exec_group = list.One(counts.exec_group);
  input->join = list.One(counts.join);
  input->freezer = list.One(counts.freezer);
  input->cgroup_tasks = list.Many(counts.cgroup_tasks);
  input->binds = list.Many(counts.binds);
  input->held = list.Many(counts.held);
  return true;
}

void LaunchInput::Release() {
  CloseAll(&data_root, 1);
  CloseAll(&cgroup_v2, 1);
  CloseAll(&join, 1);
  CloseAll(cgroup_tasks, plan.fds.cgroup_tasks);
  CloseAll(binds, plan.fds.binds);
  arena.Release();
  munmap(message, message_size);
  plan = Plan{};
}

}  // namespace minibox::init
