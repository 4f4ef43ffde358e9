// SPDX-License-Identifier: Apache-2.0
#include "registry/pull_layer.h"

#include <string>
#include <thread>
#include <vector>

#include "archive/compression.h"
#include "archive/layer_apply.h"
#include "core/errors.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/thread.h"
#include "oci/digest.h"
#include "registry/growing_file.h"
#include "store/layout.h"

namespace minibox::registry {
namespace {

constexpr char kTree[] = "tree";
constexpr size_t kChunk = 256u << 10;
constexpr int kRounds = 2;

std::string Short(const Digest& digest) { return std::string(digest.hex().substr(0, 12)); }

StatusOr<Digest> HashOf(const archive::ReadFn& tar, const std::stop_token& stop) {
  core::Sha256 hash;
  std::vector<char> buffer(kChunk);
  while (true) {
    if (stop.stop_requested()) return core::Cancelled("unpack");
    MBX_ASSIGN_OR_RETURN(const size_t count, tar(buffer.data(), buffer.size()));
    if (count == 0) return oci::DigestFromHex(hash.FinishHex());
    hash.Update(std::string_view(buffer.data(), count));
  }
}

// What a layer unpacks to must be what the configuration says; images of older versions name the
// compressed blob (spec §11.1).
Status CheckDiffId(const BlobJob& job, const Digest& actual) {
  if (actual == *job.diff_id || *job.diff_id == job.descriptor.digest) return Status();
  return core::DataLoss(
      core::StrCat("unpacks to ", actual.ToString(), ", expected ", job.diff_id->ToString()));
}

// Reads the blob while it arrives. The tree is published by the caller, when the blob has proved
// to be what it should be.
struct Unpacked {
  std::optional<store::OperationDir> operation{};
  std::optional<core::FileLock> lock{};
  std::optional<Digest> diff_id{};  // of a tree in the operation
};

Status UnpackAlong(const BlobJob& job, const StoreParts& store, GrowingFile& file,
                   const std::stop_token& stop, Unpacked* result) {
  const archive::ReadFn tar =
      archive::Decompress([&file](char* buffer, size_t size) { return file.Read(buffer, size); });
  if (!store.layers.Exists(*job.diff_id)) {
    // As LayerStore::EnsureUnpacked does.
    MBX_ASSIGN_OR_RETURN(
        result->lock,
        store.root->LockKey(core::StrCat(store::kLayerLock, job.diff_id->hex()), stop));
  }
  if (store.layers.Exists(*job.diff_id)) {
    MBX_ASSIGN_OR_RETURN(const Digest actual, HashOf(tar, stop));
    return CheckDiffId(job, actual);
  }
  MBX_ASSIGN_OR_RETURN(store::OperationDir operation, store.root->NewOperation("unpack"));
  result->operation.emplace(std::move(operation));
  const core::RootDir& dir = result->operation->dir();
  MBX_RETURN_IF_ERROR(dir.MakeDir(kTree, 0755));
  MBX_ASSIGN_OR_RETURN(const core::RootDir tree, dir.OpenDir(kTree));
  MBX_ASSIGN_OR_RETURN(const archive::Applied applied, archive::ApplyLayer(tar, tree, {}, stop));
  for (const std::string& note : applied.notes) {
    core::LogDebug("registry", core::StrCat("layer ", Short(job.descriptor.digest), ": ", note));
  }
  result->diff_id = applied.diff_id;
  return CheckDiffId(job, applied.diff_id);
}

class Fetcher {
 public:
  Fetcher(const BlobJob& job, const StoreParts& store, const Sources& sources,
          const BlobJobEvents& events, const std::stop_token& stop)
      : job_(job), store_(store), sources_(sources), events_(events), stop_(stop) {}

  Status Run() {
    // Without the lock first: blobs never change, and most are there.
    if (IsThere()) return UseStored();
    MBX_ASSIGN_OR_RETURN(store::PartialBlob blob,
                         store_.partial.Open(job_.descriptor.digest, stop_));
    if (IsThere()) {
      // Somebody else has fetched it meanwhile.
      MBX_RETURN_IF_ERROR(blob.Discard());
      return UseStored();
    }
    if (events_.begun) events_.begun(false);
    for (int round = 1;; ++round) {
      const bool resumed = blob.size() > 0;
      const Status status = FetchOnce(blob);
      if (status.ok() || round == kRounds) return status;
      // What an earlier attempt has left may be what is wrong.
      const bool again = status.code() == StatusCode::kAborted || (resumed && discarded_);
      if (!again) return status;
      MBX_ASSIGN_OR_RETURN(blob, Reopen(std::move(blob)));
    }
  }

 private:
  bool IsThere() const {
    const auto size = store_.blobs.Size(job_.descriptor.digest);
    return size.ok() && *size == job_.descriptor.size;
  }

  void Report(Progress::Phase phase, uint64_t done) const {
    if (events_.progress) events_.progress(phase, done);
  }

  Status UseStored() {
    if (events_.begun) events_.begun(true);
    if (job_.diff_id && store_.layers.Exists(*job_.diff_id)) {
      MBX_RETURN_IF_ERROR(CheckPair());
    } else if (job_.diff_id) {
      Report(Progress::Phase::kUnpacking, 0);
      MBX_RETURN_IF_ERROR(
          store_.layers.EnsureUnpacked(job_.descriptor.digest, *job_.diff_id, stop_).status());
    }
    Report(Progress::Phase::kDone, job_.descriptor.size);
    return Status();
  }

  // Blob and tree are there, but need not belong together.
  Status CheckPair() const {
    if (job_.known_pair) return Status();
    MBX_ASSIGN_OR_RETURN(const core::Fd fd, store_.blobs.Open(job_.descriptor.digest));
    MBX_ASSIGN_OR_RETURN(const Digest actual,
                         HashOf(archive::Decompress(archive::ReadFromFd(fd.get())), stop_));
    return CheckDiffId(job_, actual);
  }

  StatusOr<store::PartialBlob> Reopen(store::PartialBlob old) {
    // Its file may be gone; the lock goes with the old one.
    { const store::PartialBlob closed = std::move(old); }
    return store_.partial.Open(job_.descriptor.digest, stop_);
  }

  Status FetchOnce(store::PartialBlob& blob) {
    discarded_ = false;
    GrowingFile file(blob.file().get());
    // The reader stops when the download has failed, and the download when the disk has.
    std::stop_source abort;
    const std::stop_callback forward(stop_, [&abort] { abort.request_stop(); });
    Unpacked unpacked;
    Status unpack_status;
    std::thread unpacker;
    if (job_.diff_id) {
      unpacker = core::StartThread("mbx-unpack", [&] {
        unpack_status = UnpackAlong(job_, store_, file, abort.get_token(), &unpacked);
        // What cannot be unpacked may only have arrived wrong: the digest will tell.
        const bool content = unpack_status.reason() == "invalid_archive" ||
                             unpack_status.code() == StatusCode::kDataLoss;
        if (!unpack_status.ok() && !content) abort.request_stop();
      });
    }
    const Status fetched = Download(blob, file, abort.get_token());
    file.End(fetched);
    if (!fetched.ok()) abort.request_stop();
    if (fetched.ok() && job_.diff_id) Report(Progress::Phase::kUnpacking, job_.descriptor.size);
    if (unpacker.joinable()) unpacker.join();
    if (stop_.stop_requested()) return core::Cancelled("pull");
    // Of the two, the one that was not called off by the other.
    if (!fetched.ok() && (fetched.code() != StatusCode::kCancelled || unpack_status.ok())) {
      return fetched;
    }
    if (!unpack_status.ok()) return unpack_status;
    if (unpacked.diff_id) {
      MBX_RETURN_IF_ERROR(store_.layers.Publish(*unpacked.diff_id, *unpacked.operation, kTree));
    }
    Report(Progress::Phase::kDone, job_.descriptor.size);
    return Status();
  }

  Status Download(store::PartialBlob& blob, GrowingFile& file, const std::stop_token& stop) {
    BlobWatcher watcher;
    watcher.grown = [&](uint64_t size) {
      file.Grow(size);
      Report(Progress::Phase::kTransferring, size);
    };
    watcher.retrying = events_.retrying;
    MBX_RETURN_IF_ERROR(FetchBlob(sources_, job_.descriptor, blob, watcher, stop));
    Report(Progress::Phase::kVerifying, job_.descriptor.size);
    const Status committed = blob.Commit();
    discarded_ = committed.code() == StatusCode::kDataLoss;
    return discarded_ ? committed.WithReason("registry_error") : committed;
  }

  const BlobJob& job_;
  const StoreParts& store_;
  const Sources& sources_;
  const BlobJobEvents& events_;
  const std::stop_token& stop_;
  bool discarded_ = false;  // the bytes did not have the digest
};

}  // namespace

Status FetchIntoStore(const BlobJob& job, const StoreParts& store, const Sources& sources,
                      const BlobJobEvents& events, const std::stop_token& stop) {
  const Status status = Fetcher(job, store, sources, events, stop).Run();
  if (status.ok() || status.code() == StatusCode::kCancelled) return status;
  return status.WithContext(
      core::StrCat(job.diff_id ? "layer " : "config ", Short(job.descriptor.digest)));
}

}  // namespace minibox::registry
