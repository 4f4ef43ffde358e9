// SPDX-License-Identifier: Apache-2.0
#include "network/resolver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <unordered_set>
#include <utility>

#include "core/errors.h"
#include "core/file.h"
#include "core/process.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/syscalls.h"
#include "init/channel.h"
#include "init/dns_protocol.h"
#include "init/image.h"

namespace minibox::network {
namespace {

constexpr std::string_view kDefaultNetwork = "bridge";
constexpr int kAnswerTimeoutMs = 10'000;
constexpr int kEndTimeoutMs = 5'000;
constexpr size_t kMaxRecordsBytes = 64u << 20, kMaxNameBytes = 64;

const std::string& FileOf(const NetworkRecord& network) { return network.bridge; }

void AppendMembers(const NetworkRecord& network, std::string* text) {
  *text += core::StrCat("network ", network.name,
                        network.name == kDefaultNetwork ? " projects\n" : "\n");
  for (const Lease& lease : network.leases) {
    *text += core::StrCat("container ", FormatIpv4(lease.address), " ",
                          lease.address6 ? FormatIpv6(*lease.address6) : "-", " ",
                          lease.project.empty() ? "-" : lease.project, " ", lease.container, "\n");
    for (const std::string& server : lease.dns) *text += core::StrCat("dns ", server, "\n");
    for (const std::string& name : lease.names) *text += core::StrCat("name ", name, "\n");
  }
}

// Waits for an answer; kUnavailable if it does not come.
Status Await(int socket) {
  pollfd waited = {socket, POLLIN, 0};
  int ready;
  do {
    ready = poll(&waited, 1, kAnswerTimeoutMs);
  } while (ready < 0 && errno == EINTR);
  if (ready > 0) return Status();
  return core::Error(StatusCode::kUnavailable, "", "the name server does not answer");
}

// Of the server that a file of records is for; 0 if it does not say.
pid_t PidIn(std::string_view text) {
  for (const std::string_view line : core::StrSplit(text.substr(0, 64), '\n')) {
    if (!line.starts_with("pid ")) continue;
    const auto pid = core::ParseUint64(line.substr(4));
    return pid && *pid <= INT32_MAX ? static_cast<pid_t>(*pid) : 0;
  }
  return 0;
}

// Invalid if there is no name server of that number.
core::Fd OpenServer(pid_t pid) {
  if (pid <= 0) return core::Fd();
  core::Fd pidfd(core::sys::PidfdOpen(pid));
  // Asked for afterwards: the number of a process that we hold is nobody else's.
  const auto name = core::ReadFileAt(AT_FDCWD, core::StrCat("/proc/", pid, "/comm"), kMaxNameBytes);
  return name.ok() && *name == "minibox-dns\n" ? std::move(pidfd) : core::Fd();
}

}  // namespace

std::string FormatDnsRecords(const State& state, const NetworkRecord& network) {
  std::string text = core::StrCat("minibox-dns 1\npid ", network.resolver_pid, "\n");
  if (network.internal) text += "internal\n";
  AppendMembers(network, &text);
  // The other networks of its members.
  std::unordered_set<std::string_view> members;
  for (const Lease& lease : network.leases) members.insert(lease.container);
  for (const NetworkRecord& other : state.networks) {
    if (other.name == network.name || !other.dns) continue;
    if (std::any_of(other.leases.begin(), other.leases.end(),
                    [&](const Lease& lease) { return members.contains(lease.container); })) {
      AppendMembers(other, &text);
    }
  }
  return text;
}

bool Resolvers::IsServing(const NetworkRecord& network) {
  if (network.resolver_pid <= 0) return false;
  const core::Fd pidfd(core::sys::PidfdOpen(network.resolver_pid));
  const auto start = core::ProcessStartTime(network.resolver_pid);
  if (!pidfd.valid() || !start.ok() || *start != network.resolver_start) return false;
  // It may be dead and not reaped.
  pollfd ended = {pidfd.get(), POLLIN, 0};
  if (poll(&ended, 1, 0) == 0) return true;
  (void)core::WaitPidfd(pidfd.get());
  return false;
}

Status Resolvers::Start(const std::string& resolv_conf, NetworkRecord* network) {
  init::DnsServeMessage message = {};
  const uint32_t gateway = htonl(network->gateway);
  std::memcpy(message.ip, &gateway, sizeof message.ip);
  if (network->subnet6) {
    const Ipv6 gateway6 = network->subnet6->gateway();
    std::memcpy(message.ip6, gateway6.data(), sizeof message.ip6);
  }
  message.port = network->resolver_port;
  const std::string& file = FileOf(*network);
  if (file.size() >= sizeof message.records || resolv_conf.size() >= sizeof message.resolv_conf) {
    return core::InvalidArgument("resolv_conf", "is too long");
  }
  std::memcpy(message.records, file.data(), file.size());
  std::memcpy(message.resolv_conf, resolv_conf.data(), resolv_conf.size());

  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return core::SysError("socketpair", "name server");
  }
  const core::Fd ours(sockets[0]);
  core::Fd theirs(sockets[1]);
  const core::Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return core::SysError("open", "/dev/null");
  core::SpawnOptions options;
  {
    const absl::MutexLock lock(&mutex_);
    if (!image_.valid()) {
      MBX_ASSIGN_OR_RETURN(image_, init::MakeInitImage());
    }
    options.executable_fd = image_.get();
  }
  options.argv = {"minibox-init"};
  options.fds = {
      {null.get(), 0}, {null.get(), 1}, {null.get(), 2}, {theirs.get(), init::kControlFd}};
  MBX_ASSIGN_OR_RETURN(const core::Spawned spawned, core::Spawn(options));
  theirs.reset();
  auto packet = std::make_unique<init::Packet>();
  Status status;
  if (!init::SendMessage(ours.get(), init::Message::kDnsServe, &message, sizeof message, nullptr, 0,
                         &dir_, 1)) {
    status = core::SysError("sendmsg", "name server");
  } else {
    status = Await(ours.get());
  }
  if (!status.ok()) (void)core::sys::PidfdSendSignal(spawned.pidfd.get(), SIGKILL);
  const bool answered =
      status.ok() && init::ReceiveMessage(ours.get(), *packet) == init::Received::kMessage;
  // Its child is what goes on. A host program that reaps everything may have been faster.
  (void)core::WaitPidfd(spawned.pidfd.get());
  if (!status.ok()) return status;
  const auto* serving = packet->As<init::DnsServingMessage>();
  if (answered && packet->type == init::Message::kDnsServing && serving != nullptr) {
    network->resolver_pid = serving->pid;
    network->resolver_port = serving->port;
    MBX_ASSIGN_OR_RETURN(network->resolver_start, core::ProcessStartTime(serving->pid));
    return Status();
  }
  const auto* failure = packet->As<init::Failure>();
  if (answered && packet->type == init::Message::kFailed && failure != nullptr) {
    return core::SysError(
        std::string_view(failure->message, strnlen(failure->message, sizeof failure->message)),
        "of the name server", failure->error);
  }
  return core::Internal("the name server ended unexpectedly");
}

Status Resolvers::Publish(const State& state, const NetworkRecord& network) const {
  // Not synced: it stands for processes, which a power cut ends. Readable for a name server
  // that has given its privileges up.
  const std::string temporary = core::StrCat(".", FileOf(network), ".tmp");
  core::Fd file(
      openat(dir_, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid() || fchmod(file.get(), 0644) != 0) return core::SysError("openat", temporary);
  MBX_RETURN_IF_ERROR(
      core::WriteAll(file.get(), FormatDnsRecords(state, network)).WithContext(temporary));
  if (close(file.release()) != 0) return core::SysError("close", temporary);
  if (renameat(dir_, temporary.c_str(), dir_, FileOf(network).c_str()) != 0) {
    return core::SysError("renameat", FileOf(network));
  }
  return Status();
}

Status Resolvers::Stop(NetworkRecord* network) const {
  // Also one that only its file still knows.
  const auto text = core::ReadFileAt(dir_, FileOf(*network), kMaxRecordsBytes);
  const core::Fd pidfd = OpenServer(text.ok() ? PidIn(*text) : network->resolver_pid);
  network->resolver_pid = 0;
  network->resolver_port = 0;
  if (unlinkat(dir_, FileOf(*network).c_str(), 0) != 0 && errno != ENOENT) {
    return core::SysError("unlinkat", FileOf(*network));
  }
  if (!pidfd.valid()) return Status();
  pollfd ended = {pidfd.get(), POLLIN, 0};
  int ready;
  do {
    ready = poll(&ended, 1, kEndTimeoutMs);
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) (void)core::sys::PidfdSendSignal(pidfd.get(), SIGKILL);
  // Orphans of a host program that adopts them are its children, and whoever else adopts them
  // reaps them.
  (void)core::WaitPidfd(pidfd.get());
  return Status();
}

}  // namespace minibox::network
