// SPDX-License-Identifier: Apache-2.0
#include "registry/fetch_blob.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::registry {
namespace {

std::string Short(const Digest& digest) { return std::string(digest.hex().substr(0, 12)); }

// "bytes 5-9/10": first byte and total, the latter if known.
struct ContentRange {
  uint64_t first = 0;
  std::optional<uint64_t> total{};
};
std::optional<ContentRange> ParseContentRange(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const size_t dash = text.find('-'), slash = text.find('/');
  if (dash == text.npos || slash == text.npos || dash > slash) return std::nullopt;
  const auto first = core::ParseUint64(text.substr(0, dash));
  if (!first) return std::nullopt;
  return ContentRange{*first, core::ParseUint64(text.substr(slash + 1))};
}

class Attempt {
 public:
  Attempt(const oci::Descriptor& descriptor, store::PartialBlob& blob, const BlobWatcher& watcher)
      : descriptor_(descriptor), blob_(blob), watcher_(watcher), begin_(blob.size()) {}

  Outcome Run(Remote& remote, const std::stop_token& stop) {
    HttpRequest request{.url = core::StrCat("blobs/", descriptor_.digest.ToString())};
    if (begin_ > 0) request.headers.emplace_back("Range", core::StrCat("bytes=", begin_, "-"));
    request.on_head = [this](const HttpResponse& head) { return CheckHead(head); };
    request.sink = [this](std::string_view bytes) { return Take(bytes); };
    const auto response = remote.Send(std::move(request), stop);
    Outcome outcome = Judge(response, core::StrCat("blob ", Short(descriptor_.digest)));
    outcome.progressed = blob_.size() > begin_;
    if (response.ok() && response->status == 416 && begin_ > 0) {
      outcome.status = StartOver();
      return outcome;
    }
    if (outcome.status.ok() && blob_.size() < descriptor_.size) {
      outcome.status =
          core::Error(StatusCode::kUnavailable, "registry_error",
                      core::StrCat("blob ", Short(descriptor_.digest), ": ended after ",
                                   blob_.size(), " of ", descriptor_.size, " bytes"));
      outcome.retryable = outcome.next_source = true;
    }
    return outcome;
  }

 private:
  Status Wrong(const std::string& why) {
    MBX_RETURN_IF_ERROR(blob_.Reset());
    return core::Error(StatusCode::kDataLoss, "registry_error",
                       core::StrCat("blob ", Short(descriptor_.digest), ": ", why));
  }

  Status StartOver() {
    MBX_RETURN_IF_ERROR(blob_.Reset());
    return core::Error(StatusCode::kAborted, "registry_error", "the blob has to be fetched anew");
  }

  Status CheckHead(const HttpResponse& head) {
    uint64_t first = 0;
    if (head.status == 206) {
      const auto range = ParseContentRange(head.Header("content-range").value_or(""));
      if (!range || range->first != begin_) return StartOver();
      if (range->total && *range->total != descriptor_.size) {
        return Wrong(core::StrCat("has ", *range->total, " bytes, expected ", descriptor_.size));
      }
      first = begin_;
    }
    // Ranges may be ignored: then what is here already passes by once more.
    skip_ = begin_ - first;
    const auto length = core::ParseUint64(head.Header("content-length").value_or(""));
    if (length && first + *length != descriptor_.size) {
      return Wrong(core::StrCat("has ", first + *length, " bytes, expected ", descriptor_.size));
    }
    return Status();
  }

  Status Take(std::string_view bytes) {
    const size_t skipped = static_cast<size_t>(std::min<uint64_t>(skip_, bytes.size()));
    bytes.remove_prefix(skipped);
    skip_ -= skipped;
    if (bytes.empty()) return Status();
    if (bytes.size() > descriptor_.size - blob_.size()) {
      return Wrong(core::StrCat("has more than ", descriptor_.size, " bytes"));
    }
    MBX_RETURN_IF_ERROR(blob_.Append(bytes));
    if (watcher_.grown) watcher_.grown(blob_.size());
    return Status();
  }

  const oci::Descriptor& descriptor_;
  store::PartialBlob& blob_;
  const BlobWatcher& watcher_;
  const uint64_t begin_;
  uint64_t skip_ = 0;
};

}  // namespace

Status FetchBlob(const Sources& sources, const oci::Descriptor& descriptor,
                 store::PartialBlob& blob, const BlobWatcher& watcher,
                 const std::stop_token& stop) {
  // From an attempt at something else by the same name.
  if (blob.size() > descriptor.size) MBX_RETURN_IF_ERROR(blob.Reset());
  if (watcher.grown) watcher.grown(blob.size());
  if (blob.size() == descriptor.size) return Status();
  return TrySources(
      sources, [&](Remote& remote) { return Attempt(descriptor, blob, watcher).Run(remote, stop); },
      watcher.retrying, stop);
}

}  // namespace minibox::registry
