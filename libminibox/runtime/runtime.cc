// SPDX-License-Identifier: Apache-2.0
#include "minibox/runtime.h"

#include <filesystem>

#include "absl/synchronization/notification.h"
#include "core/errors.h"
#include "core/log.h"
#include "core/process.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/health_log.h"
#include "runtime/process_impl.h"
#include "runtime/runtime_impl.h"

namespace minibox {
inline namespace v1 {

namespace {

constexpr int kBackgroundThreads = 4;
constexpr std::string_view kDefaultDataRoot = "/var/lib/minibox";

StatusOr<std::string> RealPath(const std::filesystem::path& path, std::string_view field) {
  if (!path.is_absolute()) return core::InvalidArgument(field, "must be absolute");
  std::error_code error;
  const std::filesystem::path real = std::filesystem::weakly_canonical(path, error);
  if (error) return core::InvalidArgument(field, error.message());
  return real.native();
}

// Creates it with its parents, 0700.
StatusOr<core::RootDir> OpenRunDir(const std::string& path) {
  MBX_ASSIGN_OR_RETURN(const core::RootDir root, core::RootDir::Open("/"));
  MBX_RETURN_IF_ERROR(root.MakeDirs(path, 0700));
  return core::RootDir::Open(path);
}

}  // namespace

StatusOr<ContainerId> ContainerId::Parse(std::string_view text) {
  constexpr size_t kDigits = 8;
  if (text.size() != kDigits ||
      text.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return core::InvalidArgument(
        "id", core::StrCat("'", core::EscapeControl(text), "' is not a container id"));
  }
  return ContainerId(std::string(text));
}

Runtime::Impl::Impl(Store store_handle, Network network_handle,
                    std::shared_ptr<Store::Impl> store_impl,
                    std::shared_ptr<Network::Impl> network_impl, runtime::IdRanges ranges)
    : store(std::move(store_handle)),
      network(std::move(network_handle)),
      images(std::move(store_impl)),
      net(std::move(network_impl)),
      id_ranges(std::move(ranges)) {}

Runtime::Impl::~Impl() {
  // What calls back goes first, then what is queued, then what both have changed is written.
  stopping_.request_stop();
  if (health_) health_->Close();
  if (snapshot_) snapshot_->Close();
  if (cpu_sampler_) cpu_sampler_->Close();
  if (supervisor_) supervisor_->Close();
  if (loop_) {
    // A timer that did not see the request has run when this has.
    absl::Notification passed;
    loop_->Post([&passed] { passed.Notify(); });
    passed.WaitForNotification();
  }
  // Its last tasks may submit more: the pointer stays.
  if (pool_) pool_->Close();
  supervisor_.reset();
  snapshot_.reset();
  cpu_sampler_.reset();
  loop_.reset();
}

StatusOr<std::shared_ptr<Runtime::Impl>> Runtime::Impl::Open(
    Store store, Network network, std::shared_ptr<Store::Impl> store_impl,
    std::shared_ptr<Network::Impl> network_impl, const RuntimeOptions& options) {
  runtime::HostFacts host = runtime::ReadHostFacts();
  MBX_ASSIGN_OR_RETURN(host.data_root, RealPath(store.root(), "root"));
  std::filesystem::path run_path = options.run_dir;
  if (run_path.empty()) {
    run_path = store.root() == kDefaultDataRoot ? "/run/minibox" : store.root() / "run";
  }
  MBX_ASSIGN_OR_RETURN(host.run_dir, RealPath(run_path, "run_dir"));
  for (const std::filesystem::path& prefix : options.bind_prefixes) {
    MBX_ASSIGN_OR_RETURN(std::string real, RealPath(prefix, "bind_prefixes"));
    host.bind_prefixes.push_back(std::move(real));
  }
  MBX_ASSIGN_OR_RETURN(core::RootDir run_dir, OpenRunDir(host.run_dir));
  MBX_ASSIGN_OR_RETURN(runtime::IdRanges ranges,
                       runtime::IdRanges::Open(run_dir, options.subid_base, options.subid_count));

  auto impl = std::make_shared<Impl>(std::move(store), std::move(network), std::move(store_impl),
                                     std::move(network_impl), std::move(ranges));
  impl->options = options;
  impl->options.run_dir = host.run_dir;
  impl->host = std::move(host);
  impl->run_dir = std::move(run_dir);
  MBX_RETURN_IF_ERROR(impl->images->root->dir().MakeDirs(runtime::kContainers, 0700));
  MBX_ASSIGN_OR_RETURN(impl->cgroups, kernel::CgroupDriver::Detect(options.cgroup_parent));
  impl->host.filters_devices = impl->cgroups->filters_devices();
  MBX_ASSIGN_OR_RETURN(impl->launcher, runtime::Launcher::Create());
  MBX_ASSIGN_OR_RETURN(impl->boot_id_, core::BootId());
  MBX_ASSIGN_OR_RETURN(impl->loop_, core::EventLoop::Create());
  impl->pool_ = std::make_unique<core::ThreadPool>(kBackgroundThreads);
  impl->snapshot_ = std::make_unique<runtime::StateSnapshot>(impl->images->root, impl->loop_.get(),
                                                             impl->pool_.get());

  runtime::Supervisor::Callbacks callbacks;
  Impl* const self = impl.get();
  if (options.supervise) {
    impl->health_ = std::make_unique<runtime::HealthMonitor>(
        impl->loop_.get(), [self](const ContainerId& id, const runtime::MonitorIdentity& run) {
          return self->ProbeHealth(id, run);
        });
  }
  impl->cpu_sampler_ = std::make_unique<runtime::CpuSampler>(
      [self](const ContainerId& id) {
        const auto usec = self->cgroups->CpuUsec(id.ToString());
        return usec.ok() ? *usec : uint64_t{0};
      },
      impl->loop_.get(), impl->pool_.get());
  callbacks.on_exit = [self](const ContainerId& id, const runtime::MonitorIdentity& monitor,
                             std::optional<ExitStatus> exit) {
    self->pool_->Submit([self, id, monitor, exit = std::move(exit)] {
      auto finished = self->FinishRun(id, monitor, exit, self->stopping_.get_token());
      self->FollowPolicy(id);
      if (finished.ok() || finished.status().code() == StatusCode::kCancelled ||
          finished.status().code() == StatusCode::kNotFound) {
        return;
      }
      core::LogWarning("runtime",
                       core::StrCat("end of container ", id.ToString(), ": ",
                                    finished.status().message(), ", left for the next recovery"));
    });
  };
  callbacks.on_new = [self](const ContainerId& id) {
    self->pool_->Submit([self, id] { self->Adopt(id); });
  };
  MBX_ASSIGN_OR_RETURN(const core::RootDir containers,
                       impl->images->root->dir().OpenDir(runtime::kContainers));
  // Before recovery looks, so that a container that appears meanwhile is seen by one of them.
  const std::vector<int> directories = {impl->run_dir.fd(), containers.fd()};
  MBX_ASSIGN_OR_RETURN(
      impl->supervisor_,
      runtime::Supervisor::Create(impl->loop_.get(), directories, std::move(callbacks)));
  MBX_RETURN_IF_ERROR(impl->Recover());
  return impl;
}

Runtime::Runtime(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<Runtime> Runtime::Open(Store store, Network network, const RuntimeOptions& options) {
  auto store_impl = store.impl_;
  auto network_impl = network.impl_;
  MBX_ASSIGN_OR_RETURN(auto impl,
                       Impl::Open(std::move(store), std::move(network), std::move(store_impl),
                                  std::move(network_impl), options));
  return Runtime(std::move(impl));
}

StatusOr<ContainerInfo> Runtime::Create(const ContainerSpec& spec) { return impl_->Create(spec); }

StatusOr<ContainerInfo> Runtime::Start(const ContainerId& id, std::stop_token stop) {
  return impl_->Start(id, std::move(stop));
}

StatusOr<ContainerInfo> Runtime::Run(const ContainerSpec& spec, std::stop_token stop) {
  return impl_->Run(spec, std::move(stop));
}

StatusOr<ExitStatus> Runtime::RunForeground(const ContainerSpec& spec, const OutputFn& sink,
                                            const RunOptions& options, std::stop_token stop) {
  return Impl::RunForeground(impl_, spec, sink, options, std::move(stop));
}

StatusOr<StopResult> Runtime::Stop(const ContainerId& id, const StopOptions& options,
                                   std::stop_token stop) {
  return impl_->Stop(id, options, std::move(stop));
}

StatusOr<Process> Runtime::StartExec(const ContainerId& id, const ExecSpec& spec,
                                     std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(auto process,
                       impl_->StartExec(id, spec, Impl::Announced::kYes, std::move(stop)));
  return Process(std::move(process));
}

StatusOr<ExitStatus> Runtime::Exec(const ContainerId& id, const ExecSpec& spec,
                                   const OutputFn& sink, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(Process process, StartExec(id, spec, stop));
  return process.Wait(sink, std::move(stop));
}

StatusOr<Process> Runtime::StartForeground(const ContainerSpec& spec, const RunOptions& options,
                                           std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(auto process, Impl::StartForeground(impl_, spec, options, std::move(stop)));
  return Process(std::move(process));
}

StatusOr<Process> Runtime::StartForeground(const ContainerId& id, const RunOptions& options,
                                           std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(auto process, Impl::StartForeground(impl_, id, options, std::move(stop)));
  return Process(std::move(process));
}

StatusOr<Process> Runtime::Attach(const ContainerId& id, const AttachOptions& options) {
  MBX_ASSIGN_OR_RETURN(auto process, impl_->Attach(id, options));
  return Process(std::move(process));
}

Status Runtime::Resize(const ContainerId& id, TerminalSize size) { return impl_->Resize(id, size); }

Status Runtime::Kill(const ContainerId& id, int signal) { return impl_->Kill(id, signal); }

Status Runtime::Remove(const ContainerId& id, bool force) { return impl_->Remove(id, force); }

StatusOr<ExitStatus> Runtime::Wait(const ContainerId& id, std::stop_token stop) {
  return impl_->Wait(id, std::move(stop));
}

StatusOr<ContainerInfo> Runtime::WaitFor(const ContainerId& id, const WaitOptions& options,
                                         std::stop_token stop) {
  return impl_->WaitFor(id, options, std::move(stop));
}

Status Runtime::Pause(const ContainerId& id) { return impl_->Pause(id); }

Status Runtime::Unpause(const ContainerId& id) { return impl_->Unpause(id); }

StatusOr<ContainerInfo> Runtime::Restart(const ContainerId& id, const StopOptions& options,
                                         std::stop_token stop) {
  return impl_->Restart(id, options, std::move(stop));
}

Status Runtime::Rename(const ContainerId& id, std::string_view name) {
  return impl_->Rename(id, name);
}

Status Runtime::Update(const ContainerId& id, const ContainerUpdate& update) {
  return impl_->Update(id, update);
}

StatusOr<ContainerPruneReport> Runtime::Prune(const ContainerPruneOptions& options) {
  return impl_->Prune(options);
}

StatusOr<ContainerId> Runtime::Find(std::string_view id_name_or_prefix) const {
  return impl_->Find(id_name_or_prefix);
}

StatusOr<ContainerInfo> Runtime::Inspect(const ContainerId& id) const { return impl_->Inspect(id); }

StatusOr<std::vector<ContainerInfo>> Runtime::List() const { return impl_->List(); }

StatusOr<HealthLog> Runtime::ReadHealthLog(const ContainerId& id) const {
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerDir dir,
                       runtime::ContainerDir::Open(*impl_->images->root, id));
  return runtime::ReadHealthLog(dir);
}

Status Runtime::ReadLogs(const ContainerId& id, const LogOptions& options, const OutputFn& sink,
                         std::stop_token stop) const {
  return impl_->ReadLogs(id, options, sink, std::move(stop));
}

}  // namespace v1
}  // namespace minibox
