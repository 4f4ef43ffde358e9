// SPDX-License-Identifier: Apache-2.0
#include "build/block_layer.h"

#include <utility>

#include "archive/compression.h"
#include "archive/layer_diff.h"
#include "build/merge.h"
#include "build/tidy.h"
#include "core/errors.h"
#include "core/parallel.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr char kTree[] = "tree";
// What a result says of a block that changed nothing.
constexpr std::string_view kNothing = "none";

}  // namespace

// The result stands with the last snapshot, whose key stands for all that the layer depends on:
// "<kind>.gzip" or "<kind>.zstd" -> "<diff_id> <blob> <size>", or "none".
std::string LayerMaker::ResultName() const {
  return request_.kind + (request_.compression == archive::Compression::kZstd ? ".zstd" : ".gzip");
}

Status LayerMaker::FindResult() {
  MBX_ASSIGN_OR_RETURN(const auto record, store_.snapshots.Find(request_.snapshots.back()));
  if (!record) return {};
  const auto result = record->results.find(ResultName());
  if (result == record->results.end()) return {};
  if (result->second == kNothing) {
    empty_ = true;
    return {};
  }
  const auto fields = core::StrSplit(result->second, ' ');
  if (fields.size() != 3) return {};
  auto diff_id = Digest::Parse(fields[0]);
  auto blob = Digest::Parse(fields[1]);
  const auto size = core::ParseUint64(fields[2]);
  if (!diff_id.ok() || !blob.ok() || !size) return {};
  MBX_RETURN_IF_ERROR(lease_.AddBlob(*blob));
  if (!store_.blobs.Exists(*blob)) return {};
  known_ = Layer{std::move(*diff_id), std::move(*blob), *size, request_.compression};
  return {};
}

Status LayerMaker::Prepare(std::stop_token stop) {
  if (request_.snapshots.empty()) {
    empty_ = true;
    return {};
  }
  MBX_RETURN_IF_ERROR(FindResult());
  if (known_ || empty_ || request_.snapshots.size() == 1) return {};
  MBX_ASSIGN_OR_RETURN(store::OperationDir operation, store_.root->NewOperation("build-layer"));
  MBX_RETURN_IF_ERROR(operation.dir().MakeDir(kTree, 0755));
  MBX_ASSIGN_OR_RETURN(const core::RootDir tree, operation.dir().OpenDir(kTree));
  std::vector<core::RootDir> snapshots;
  for (const auto& key : request_.snapshots) {
    MBX_ASSIGN_OR_RETURN(core::RootDir snapshot,
                         store_.root->dir().OpenDir(store::Snapshots::Path(key)));
    snapshots.push_back(std::move(snapshot));
  }
  MBX_RETURN_IF_ERROR(MergeTrees(snapshots, tree, stop));
  // What one snapshot made and the next one took away says nothing about the layers below.
  MBX_ASSIGN_OR_RETURN(const core::RootDir below, OpenView(*store_.root, request_.below, shared_));
  MBX_ASSIGN_OR_RETURN(const Tidied tidied, Tidy(tree, below, {.epoch = request_.epoch}, stop));
  empty_ = tidied.empty;
  if (empty_) return Record(nullptr);
  operation_.emplace(std::move(operation));
  return {};
}

StatusOr<Layer> LayerMaker::Make(std::stop_token stop) {
  if (known_) return *known_;
  auto layer = Archive(std::move(stop));
  operation_.reset();
  return layer;
}

StatusOr<core::RootDir> LayerMaker::OpenTree() const {
  if (operation_) return operation_->dir().OpenDir(kTree);
  return store_.root->dir().OpenDir(store::Snapshots::Path(request_.snapshots.front()));
}

StatusOr<Layer> LayerMaker::Archive(std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(const core::RootDir tree, OpenTree());
  MBX_ASSIGN_OR_RETURN(store::BlobWriter writer, store_.blobs.NewBlob());
  MBX_ASSIGN_OR_RETURN(
      const auto compressor,
      archive::Compressor::Create(
          request_.compression, [&writer](std::string_view bytes) { return writer.Write(bytes); },
          core::WorkerThreads()));
  MBX_ASSIGN_OR_RETURN(
      const archive::Diff diff,
      archive::WriteLayer(
          tree, [&compressor](std::string_view bytes) { return compressor->Write(bytes); },
          {.max_mtime = request_.epoch}, stop));
  MBX_RETURN_IF_ERROR(compressor->Finish());
  const uint64_t size = writer.size();
  MBX_ASSIGN_OR_RETURN(Digest blob, writer.Commit(std::nullopt, &lease_));
  Layer layer{diff.diff_id, std::move(blob), size, request_.compression};
  MBX_RETURN_IF_ERROR(Record(&layer));
  return layer;
}

Status LayerMaker::Record(const Layer* layer) {
  const std::string& key = request_.snapshots.back();
  MBX_ASSIGN_OR_RETURN(auto record, store_.snapshots.Find(key));
  if (!record) return {};
  record->results[ResultName()] =
      layer == nullptr
          ? std::string(kNothing)
          : core::StrCat(layer->diff_id.ToString(), " ", layer->blob.ToString(), " ", layer->size);
  return store_.snapshots.UpdateRecord(key, *record);
}

}  // namespace minibox::build
