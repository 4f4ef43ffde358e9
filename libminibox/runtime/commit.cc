// SPDX-License-Identifier: Apache-2.0
// What a container has made of its image: as a list, as an image, as a tar (spec §12.17).
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "archive/compression.h"
#include "archive/layer_diff.h"
#include "archive/overlay_marks.h"
#include "core/clock.h"
#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/overlay.h"
#include "oci/digest.h"
#include "oci/media_types.h"
#include "runtime/config_changes.h"
#include "runtime/launch_plan.h"
#include "runtime/runtime_impl.h"
#include "runtime/state_machine.h"

namespace minibox {
inline namespace v1 {

namespace {

constexpr int kMaxTreeDepth = 2048;

// The merged view of directories, nearest first, that nobody can write through.
StatusOr<core::RootDir> OpenMerged(const core::RootDir& data_root,
                                   const std::vector<std::string>& nearest_first) {
  if (nearest_first.size() == 1) return data_root.OpenDir(nearest_first.front());
  std::vector<core::Fd> fds;
  kernel::OverlaySpec overlay;
  for (const std::string& path : nearest_first) {
    MBX_ASSIGN_OR_RETURN(core::Fd fd, data_root.OpenAt(path, O_PATH | O_DIRECTORY));
    overlay.lowers.push_back(fd.get());
    fds.push_back(std::move(fd));
  }
  MBX_ASSIGN_OR_RETURN(core::Fd merged, kernel::MountOverlay(overlay));
  return core::RootDir(std::move(merged));
}

// Paths, without '/' in front, that are there only to be mounted on.
StatusOr<std::set<std::string>> MountTargets(const runtime::ContainerConfig& config,
                                             const ContainerId& id,
                                             const runtime::HostFacts& host) {
  MBX_ASSIGN_OR_RETURN(const runtime::LaunchPlan plan, runtime::PlanLaunch(config, id, {}, host));
  std::set<std::string> targets;
  for (const init::MountOp& mount : plan.spec.mounts) targets.insert(mount.target.substr(1));
  return targets;
}

bool SameAttributes(const struct stat& a, const struct stat& b) {
  return a.st_mode == b.st_mode && a.st_uid == b.st_uid && a.st_gid == b.st_gid;
}

// Compares an upper directory with what is below it.
class Differ {
 public:
  Differ(const core::RootDir& upper, const core::RootDir& below,
         const std::set<std::string>& mounts)
      : upper_(upper), below_(below), mounts_(mounts) {}

  StatusOr<std::vector<FileChange>> Run() {
    MBX_RETURN_IF_ERROR(Visit("", 0).status());
    std::sort(changes_.begin(), changes_.end(),
              [](const FileChange& a, const FileChange& b) { return a.path < b.path; });
    return std::move(changes_);
  }

 private:
  void Note(const std::string& path, FileChange::Kind kind) {
    changes_.push_back({"/" + path, kind});
  }

  // Whether anything in the directory has changed.
  StatusOr<bool> Visit(const std::string& path, int depth) {
    if (depth > kMaxTreeDepth) return core::Internal("the tree is too deep");
    MBX_ASSIGN_OR_RETURN(const core::Fd dir,
                         upper_.OpenNoFollow(path.empty() ? "." : path, O_RDONLY | O_DIRECTORY));
    MBX_ASSIGN_OR_RETURN(const bool opaque, archive::IsOpaque(dir.get()));
    const core::RootDir here(core::Fd(fcntl(dir.get(), F_DUPFD_CLOEXEC, 0)));
    MBX_ASSIGN_OR_RETURN(const std::vector<std::string> names, here.List(""));
    bool any = false;
    for (const std::string& name : names) {
      const std::string child = path.empty() ? name : path + "/" + name;
      if (mounts_.contains(child)) continue;
      struct stat st {};
      // It may have gone meanwhile.
      if (fstatat(dir.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
      MBX_ASSIGN_OR_RETURN(const bool whiteout, archive::IsWhiteout(dir.get(), name, st));
      const auto old = below_.LStat(child);
      if (whiteout) {
        // Of something that came and went there is nothing to tell.
        if (!old.ok()) continue;
        Note(child, FileChange::Kind::kDeleted);
        any = true;
        continue;
      }
      const bool directory = S_ISDIR(st.st_mode);
      const bool existed = old.ok() && S_ISDIR(old->st_mode) == directory;
      bool changed = !existed || !directory || !SameAttributes(st, *old);
      if (directory) {
        MBX_ASSIGN_OR_RETURN(const bool below, Visit(child, depth + 1));
        // One that was made only for a mount in it is none of the container's doing.
        if (!existed && !below && OnlyForMounts(child)) continue;
        changed |= below;
      }
      if (!changed) continue;
      Note(child, old.ok() ? FileChange::Kind::kChanged : FileChange::Kind::kAdded);
      any = true;
    }
    if (opaque) any |= NoteHidden(path, names);
    return any;
  }

  bool OnlyForMounts(const std::string& path) const {
    const auto first = mounts_.lower_bound(path + "/");
    return first != mounts_.end() && first->starts_with(path + "/");
  }

  // What an opaque directory hides.
  bool NoteHidden(const std::string& path, const std::vector<std::string>& names) {
    const auto old = below_.List(path.empty() ? "." : path);
    if (!old.ok()) return false;
    bool any = false;
    for (const std::string& name : *old) {
      if (std::binary_search(names.begin(), names.end(), name)) continue;
      Note(path.empty() ? name : path + "/" + name, FileChange::Kind::kDeleted);
      any = true;
    }
    return any;
  }

  const core::RootDir& upper_;
  const core::RootDir& below_;
  const std::set<std::string>& mounts_;
  std::vector<FileChange> changes_;
};

std::vector<std::string> NearestFirst(std::vector<std::string> layers, const ContainerId& id) {
  std::reverse(layers.begin(), layers.end());
  // An image without layers has an empty directory instead; see PlanLaunch.
  if (layers.empty()) layers.push_back(runtime::ContainerDir::Path(id) + "/rootfs");
  return layers;
}

}  // namespace

StatusOr<std::vector<FileChange>> Runtime::Impl::Diff(const ContainerId& id) {
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerDir dir,
                       runtime::ContainerDir::Open(*images->root, id));
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, dir.ReadConfig());
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> layers, LayersOf(config));
  MBX_ASSIGN_OR_RETURN(const core::RootDir below,
                       OpenMerged(images->root->dir(), NearestFirst(layers, id)));
  MBX_ASSIGN_OR_RETURN(const core::RootDir upper, dir.dir().OpenDir("upper"));
  MBX_ASSIGN_OR_RETURN(const std::set<std::string> mounts, MountTargets(config, id, host));
  return Differ(upper, below, mounts).Run();
}

Status Runtime::Impl::Export(const ContainerId& id, const BytesSink& tar, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerDir dir,
                       runtime::ContainerDir::Open(*images->root, id));
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, dir.ReadConfig());
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> layers, LayersOf(config, stop));
  std::vector<std::string> all = NearestFirst(layers, id);
  all.insert(all.begin(), runtime::ContainerDir::Path(id) + "/upper");
  MBX_ASSIGN_OR_RETURN(const core::RootDir merged, OpenMerged(images->root->dir(), all));
  return archive::WriteLayer(merged, tar, {}, stop).status();
}

StatusOr<ImageInfo> Runtime::Impl::Commit(const ContainerId& id, const CommitOptions& options,
                                          std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(const ImageRef name, ImageRef::Parse(options.image));
  if (!name.digest().empty()) {
    return core::Error(StatusCode::kInvalidArgument, "invalid_reference",
                       core::StrCat("'", core::EscapeControl(options.image),
                                    "': a name to give takes no digest"))
        .WithField("image");
  }
  MBX_ASSIGN_OR_RETURN(Locked container, Lock(id, stop));
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, container.dir.ReadConfig());
  MBX_ASSIGN_OR_RETURN(const Digest base, Digest::Parse(config.image_digest));
  MBX_ASSIGN_OR_RETURN(const Store::Impl::Image image, images->ResolveManifest(base));
  const ContainerSpec& spec = config.spec;
  oci::ImageConfig made = image.config;
  made.cmd = spec.command;
  made.entrypoint = spec.entrypoint.value_or(std::vector<std::string>());
  std::erase(made.entrypoint, "");
  made.env = spec.env;
  // Every container has its own.
  const bool named = std::any_of(image.config.env.begin(), image.config.env.end(),
                                 [](const std::string& e) { return e.starts_with("HOSTNAME="); });
  if (!named) std::erase(made.env, core::StrCat("HOSTNAME=", spec.hostname));
  made.working_dir = spec.working_dir;
  made.user = spec.user;
  made.labels = spec.labels;
  MBX_RETURN_IF_ERROR(runtime::ApplyChanges(options.changes, made));

  std::unique_ptr<kernel::Cgroup> frozen;
  if (options.pause && container.record.info.state == ContainerState::kRunning) {
    auto cgroup = cgroups->Open(id.ToString());
    // One that has just ended needs no pause.
    if (!cgroup.ok() && cgroup.status().code() != StatusCode::kNotFound) return cgroup.status();
    if (cgroup.ok()) {
      MBX_RETURN_IF_ERROR((*cgroup)->Freeze(true));
      frozen = std::move(*cgroup);
    }
  }
  absl::Cleanup thaw = [&] {
    if (frozen == nullptr) return;
    const Status thawed = frozen->Freeze(false);
    if (!thawed.ok()) core::LogWarning("runtime", core::StrCat("commit: ", thawed.message()));
  };

  MBX_ASSIGN_OR_RETURN(store::Lease lease, images->leases.Acquire("commit"));
  MBX_RETURN_IF_ERROR(lease.AddBlob(base));
  MBX_ASSIGN_OR_RETURN(const std::set<std::string> mounts, MountTargets(config, id, host));
  MBX_ASSIGN_OR_RETURN(const core::RootDir upper, container.dir.dir().OpenDir("upper"));
  MBX_ASSIGN_OR_RETURN(store::BlobWriter writer, images->blobs.NewBlob());
  MBX_ASSIGN_OR_RETURN(
      const auto compressor,
      archive::Compressor::Create(archive::Compression::kGzip, [&writer](std::string_view bytes) {
        return writer.Write(bytes);
      }));
  archive::DiffOptions diff_options;
  diff_options.skip = [&mounts](std::string_view path) {
    return mounts.contains(std::string(path));
  };
  MBX_ASSIGN_OR_RETURN(
      const archive::Diff diff,
      archive::WriteLayer(
          upper, [&compressor](std::string_view bytes) { return compressor->Write(bytes); },
          diff_options, stop));
  MBX_RETURN_IF_ERROR(compressor->Finish());
  std::move(thaw).Invoke();
  const uint64_t size = writer.size();
  MBX_ASSIGN_OR_RETURN(const Digest blob, writer.Commit());
  MBX_RETURN_IF_ERROR(lease.AddBlob(blob));

  const auto now = std::chrono::system_clock::now();
  made.created = core::FormatTime(now);
  made.diff_ids.push_back(diff.diff_id);
  made.history.push_back({.created = made.created,
                          .created_by = core::StrJoin(container.record.info.command, " "),
                          .comment = options.author.empty() ? options.message
                                                            : core::StrCat(options.message, " (",
                                                                           options.author, ")")});
  const std::string config_json = oci::SerializeImageConfig(made);
  MBX_ASSIGN_OR_RETURN(const Digest config_digest, images->blobs.Put(config_json));
  MBX_RETURN_IF_ERROR(lease.AddBlob(config_digest));
  oci::Manifest manifest{.config = {.media_type = std::string(oci::kOciConfig),
                                    .digest = config_digest,
                                    .size = config_json.size()},
                         .layers = image.manifest.layers};
  manifest.layers.push_back(
      {.media_type = std::string(oci::kOciLayerGzip), .digest = blob, .size = size});
  const std::string manifest_json = oci::SerializeManifest(manifest);
  MBX_ASSIGN_OR_RETURN(const Digest manifest_digest, images->blobs.Put(manifest_json));
  MBX_RETURN_IF_ERROR(lease.AddBlob(manifest_digest));
  MBX_RETURN_IF_ERROR(images->references.Register({.media_type = std::string(oci::kOciManifest),
                                                   .digest = manifest_digest,
                                                   .size = manifest_json.size(),
                                                   .platform = made.platform},
                                                  {name}));
  Emit("container.commit", container.record.info, {{"commit", name.Shown()}});
  return store.GetImage(name.ToString());
}

StatusOr<std::vector<FileChange>> Runtime::Diff(const ContainerId& id) const {
  return impl_->Diff(id);
}

Status Runtime::Export(const ContainerId& id, const BytesSink& tar, std::stop_token stop) const {
  return impl_->Export(id, tar, std::move(stop));
}

StatusOr<ImageInfo> Runtime::Commit(const ContainerId& id, const CommitOptions& options,
                                    std::stop_token stop) {
  return impl_->Commit(id, options, std::move(stop));
}

}  // namespace v1
}  // namespace minibox
