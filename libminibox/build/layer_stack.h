// SPDX-License-Identifier: Apache-2.0
// The directories that lie over each other in a root, and views of them (spec §8.5).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/root_dir.h"
#include "minibox/status.h"
#include "store/data_root.h"

namespace minibox::build {

// Bottom first, relative to the data root. A directory that comes again moves up: an overlay
// takes each only once, and the upper place decides what is seen.
class LayerStack {
 public:
  void Push(std::string_view directory);
  void Push(const std::vector<std::string>& directories);
  const std::vector<std::string>& directories() const { return directories_; }
  // Nearest first, as an overlay is described.
  std::vector<std::string> Lowers() const;

 private:
  std::vector<std::string> directories_;
};

// Where the changes of one step go: an upper directory with the attributes of the root below
// it, and the overlay's work directory.
class StepDir {
 public:
  // `below` is the read-only view of what the step sees.
  static StatusOr<StepDir> Create(store::DataRoot& root, const core::RootDir& below);
  const store::OperationDir& operation() const { return operation_; }
  std::string upper_path() const { return operation_.path() + "/" + std::string(kUpper); }
  std::string work_path() const { return operation_.path() + "/" + std::string(kWork); }
  StatusOr<core::RootDir> OpenUpper() const { return operation_.dir().OpenDir(kUpper); }

  static constexpr std::string_view kUpper = "upper";
  static constexpr std::string_view kWork = "work";

 private:
  explicit StepDir(store::OperationDir operation) : operation_(std::move(operation)) {}
  store::OperationDir operation_;
};

// What all steps of a build share on disk.
//   empty/     at the bottom of every view, so that there is something to lay over
//   plumbing/  at the bottom of a RUN's root: what its mounts and /tmp are put on, if nothing
//              above has it. So mount points need not be made in the upper.
class SharedDirs {
 public:
  static StatusOr<SharedDirs> Create(store::DataRoot& root);
  std::string empty_path() const { return operation_.path() + "/empty"; }
  std::string plumbing_path() const { return operation_.path() + "/plumbing"; }

  // Entries of plumbing/ and where set-up makes them if they are hidden: relative paths.
  struct MountPoint {
    const char* path;
    mode_t mode;
    bool directory;
  };
  static std::span<const MountPoint> MountPoints();

 private:
  explicit SharedDirs(store::OperationDir operation) : operation_(std::move(operation)) {}
  store::OperationDir operation_;
};

// The merged view. It goes away with the RootDir.
StatusOr<core::RootDir> OpenView(const store::DataRoot& root, const LayerStack& stack,
                                 const SharedDirs& shared);
// The same, writable: changes go to the step's upper. Only one at a time.
StatusOr<core::RootDir> OpenWritableView(const store::DataRoot& root, const LayerStack& stack,
                                         const SharedDirs& shared, const StepDir& step);

// Path of the script of a RUN that is one here-document with #!, relative to the root.
inline constexpr char kScriptPath[] = ".minibox-script";

}  // namespace minibox::build
